//! The two tokens of a log-in, JWTs signed with HS256 (RFC 7519).

use faceofmind_base::{Clock, Rng};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::LoginId;
use faceofmind_model::user::{User, UserId};
use faceofmind_platform::login_store::Login;

/// A token may come from a clock that is so many seconds ahead of ours.
const IAT_LEEWAY_SECONDS: i64 = 60;

/// The keys, and what is written into access tokens beside the user.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// Signs access tokens, the predecessor's `JWT_SECRET_TOKEN`; others here verify them too. The first signs.
    pub access_keys: Vec<SecretString>,
    /// Signs refresh tokens.
    pub refresh_key: SecretString,
    /// `iss` of access tokens.
    pub issuer: String,
    /// `aud` of access tokens; none unless set, for verifiers reject an audience that they do not expect.
    pub audience: Option<String>,
    /// How long an access token lives, in seconds.
    pub access_seconds: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Access,
    Refresh,
}

/// What an access token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct AccessClaims {
    iss: String,
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    iat: i64,
    exp: i64,
    jti: String,
    sid: LoginId,
    #[serde(rename = "gen")]
    generation: i64,
    typ: Kind,
    email: String,
    role: String,
}

/// What a refresh token says: exactly this, in this order, all from the log-in's row, so that it can be made again byte for byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RefreshClaims {
    sid: LoginId,
    #[serde(rename = "gen")]
    generation: i64,
    typ: Kind,
    iat: i64,
    exp: i64,
}

/// Which log-in a good token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bearer {
    pub(super) login: LoginId,
    pub(super) generation: i64,
    /// Whose, as the token says; refresh tokens do not.
    pub(super) user: Option<UserId>,
}

/// Signs and verifies.
pub(super) struct Tokens {
    settings: TokenSettings,
    access: Vec<(String, EncodingKey, DecodingKey)>,
    refresh: (EncodingKey, DecodingKey),
    validation: Validation,
    clock: Clock,
    rng: Rng,
}

impl Tokens {
    pub(super) fn new(settings: TokenSettings, clock: Clock, rng: Rng) -> Self {
        let keys = |secret: &SecretString| {
            let secret = secret.expose_secret().as_bytes();
            (EncodingKey::from_secret(secret), DecodingKey::from_secret(secret))
        };
        let access = settings.access_keys.iter().map(|secret| {
            let (sign, verify) = keys(secret);
            (key_id(secret), sign, verify)
        });
        Self {
            access: access.collect(),
            refresh: keys(&settings.refresh_key),
            validation: validation(),
            settings,
            clock,
            rng,
        }
    }

    /// How long an access token lives, in seconds.
    pub(super) fn access_seconds(&self) -> i64 {
        self.settings.access_seconds
    }

    /// A new access token for this generation of the log-in.
    pub(super) fn access(&self, login: &Login, user: &User) -> String {
        let now = self.clock.now();
        let claims = AccessClaims {
            iss: self.settings.issuer.clone(),
            sub: user.id.to_string(),
            aud: self.settings.audience.clone(),
            iat: now.seconds(),
            exp: now.seconds() + self.settings.access_seconds,
            jti: Uuid::from_bytes(self.rng.bytes()).simple().to_string(),
            sid: login.id,
            generation: login.generation,
            typ: Kind::Access,
            email: user.email.as_str().to_owned(),
            role: user.role.as_str().to_owned(),
        };
        let (kid, sign, _) = &self.access[0];
        signed(&Header { kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) }, &claims, sign)
    }

    /// The refresh token of this generation of the log-in: the same each time.
    pub(super) fn refresh(&self, login: &Login) -> String {
        let claims = RefreshClaims {
            sid: login.id,
            generation: login.generation,
            typ: Kind::Refresh,
            iat: login.rotated_at.seconds(),
            exp: login.expires_at.seconds(),
        };
        signed(&Header::new(Algorithm::HS256), &claims, &self.refresh.0)
    }

    /// Reads an access token; `None` when it is not ours, not one, expired, or from the future.
    pub(super) fn read_access(&self, token: &str) -> Option<Bearer> {
        let claims: AccessClaims =
            self.access.iter().find_map(|(_, _, verify)| verified(token, verify, &self.validation))?;
        let good = claims.typ == Kind::Access
            && claims.iss == self.settings.issuer
            && claims.aud == self.settings.audience
            && self.is_current(claims.iat, claims.exp);
        let bearer =
            Bearer { login: claims.sid, generation: claims.generation, user: claims.sub.parse().ok().map(UserId) };
        (good && bearer.user.is_some()).then_some(bearer)
    }

    /// Reads a refresh token; `None` when it is not ours, not one, expired, or from the future.
    pub(super) fn read_refresh(&self, token: &str) -> Option<Bearer> {
        let claims: RefreshClaims = verified(token, &self.refresh.1, &self.validation)?;
        let good = claims.typ == Kind::Refresh && self.is_current(claims.iat, claims.exp);
        good.then_some(Bearer { login: claims.sid, generation: claims.generation, user: None })
    }

    fn is_current(&self, iat: i64, exp: i64) -> bool {
        let now = self.clock.now().seconds();
        now < exp && iat <= now + IAT_LEEWAY_SECONDS
    }
}

/// Times are judged by our clock, audience and issuer above.
fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

fn verified<T: DeserializeOwned>(token: &str, key: &DecodingKey, validation: &Validation) -> Option<T> {
    jsonwebtoken::decode(token, key, validation).ok().map(|data| data.claims)
}

fn signed<T: Serialize>(header: &Header, claims: &T, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).expect("claims of strings and numbers are JSON, and the key is for HMAC")
}

/// Names a key without telling anything of it: the start of its SHA-256 under a label.
fn key_id(secret: &SecretString) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(b"faceofmind key id\0");
    context.update(secret.expose_secret().as_bytes());
    context.finish().as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(format!("{text}{}", "-".repeat(40)))
    }

    fn tokens(clock: &Clock, keys: &[&str]) -> Tokens {
        let settings = TokenSettings {
            access_keys: keys.iter().map(|key| secret(key)).collect(),
            refresh_key: secret("refresh"),
            issuer: "faceofmind".into(),
            audience: None,
            access_seconds: 1800,
        };
        Tokens::new(settings, clock.clone(), Rng::seeded(1))
    }

    #[test]
    fn a_refresh_token_is_made_again_byte_for_byte() {
        let clock = Clock::system();
        let login = Login::sample(clock.now());
        let first = tokens(&clock, &["a"]).refresh(&login);
        clock.advance(Duration::from_secs(100));
        assert_eq!(first, tokens(&clock, &["b"]).refresh(&login));
        assert_eq!(tokens(&clock, &["b"]).read_refresh(&first).map(|bearer| bearer.generation), Some(1));
    }

    #[test]
    fn an_access_token_is_good_until_it_expires_and_no_second_longer() {
        let clock = Clock::system();
        let tokens = tokens(&clock, &["a"]);
        let token = tokens.access(&Login::sample(clock.now()), &User::sample());
        assert!(tokens.read_access(&token).is_some());
        clock.advance(Duration::from_secs(1798));
        assert!(tokens.read_access(&token).is_some());
        clock.advance(Duration::from_secs(2));
        assert_eq!(tokens.read_access(&token), None);
    }

    #[test]
    fn either_key_verifies_the_first_signs() {
        let clock = Clock::system();
        let token = tokens(&clock, &["b"]).access(&Login::sample(clock.now()), &User::sample());
        assert!(tokens(&clock, &["a", "b"]).read_access(&token).is_some());
        assert!(tokens(&clock, &["a"]).read_access(&token).is_none());
    }

    #[test]
    fn one_kind_of_token_is_not_the_other() {
        let clock = Clock::system();
        let mut settings = tokens(&clock, &["a"]).settings;
        settings.refresh_key = settings.access_keys[0].clone();
        let tokens = Tokens::new(settings, clock.clone(), Rng::seeded(1));
        let login = Login::sample(clock.now());
        assert_eq!(tokens.read_access(&tokens.refresh(&login)), None);
        assert_eq!(tokens.read_refresh(&tokens.access(&login, &User::sample())), None);
    }

    #[test]
    fn a_token_from_the_future_is_borne_for_a_minute() {
        let (ours, theirs) = (Clock::system(), Clock::system());
        theirs.advance(Duration::from_secs(50));
        let token = tokens(&theirs, &["a"]).access(&Login::sample(ours.now()), &User::sample());
        assert!(tokens(&ours, &["a"]).read_access(&token).is_some());
        theirs.advance(Duration::from_secs(20));
        let token = tokens(&theirs, &["a"]).access(&Login::sample(ours.now()), &User::sample());
        assert!(tokens(&ours, &["a"]).read_access(&token).is_none());
    }

    #[test]
    fn no_other_algorithm_is_taken() {
        let clock = Clock::system();
        let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzaWQiOjEsImdlbiI6MSwidHlwIjoicmVmcmVzaCIsImlhdCI6MSwiZXhwIjo5OTk5OTk5OTk5fQ.";
        assert_eq!(tokens(&clock, &["a"]).read_refresh(unsigned), None);
        assert_eq!(tokens(&clock, &["a"]).read_access("not.a.token"), None);
    }
}
