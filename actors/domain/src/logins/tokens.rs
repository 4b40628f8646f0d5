//! The three tokens of a login: JWTs signed with HS256 (RFC 7519).

use std::time::Duration;

use faceofmind_base::{Clock, Rng};
use faceofmind_model::{LoginId, User, UserId};
use faceofmind_platform::login_store::Login;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::verified_tokens::VerifiedTokens;

/// The keys, and the claims of access tokens that do not depend on the login.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// The keys of access tokens. The first one signs, and all verify.
    pub access_keys: Vec<SecretString>,
    pub refresh_key: SecretString,
    /// `iss` of access tokens.
    pub issuer: String,
    /// `aud` of access tokens. Absent unless set, because verifiers reject an audience that they do not expect.
    pub audience: Option<String>,
    /// The lifetime of an access token, in seconds.
    pub access_seconds: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Access,
    Refresh,
    Device,
}

/// The time for which a device token is valid after the rotation that it was issued with.
pub const DEVICE_TOKEN_LIFETIME: Duration = Duration::from_secs(180 * 24 * 3600);

/// The claims of an access token.
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

/// The claims of a refresh token: exactly these, in this order, all from the login's row, so that the token can be made again byte for byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RefreshClaims {
    sid: LoginId,
    #[serde(rename = "gen")]
    generation: i64,
    typ: Kind,
    iat: i64,
    exp: i64,
}

/// The claims of a device token.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct DeviceClaims {
    sid: LoginId,
    typ: Kind,
    exp: i64,
}

/// The login and the generation that a verified token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TokenRef {
    pub(super) login: LoginId,
    pub(super) generation: i64,
}

/// What an access token that was signed here says.
#[derive(Clone, Copy)]
struct AccessToken {
    user: UserId,
    token: TokenRef,
    /// The second from which on it is expired.
    exp: i64,
}

/// Signs and verifies tokens.
pub(super) struct Tokens {
    settings: TokenSettings,
    access: Vec<(String, EncodingKey, DecodingKey)>,
    refresh: (EncodingKey, DecodingKey),
    validation: Validation,
    verified_access: VerifiedTokens<AccessToken>,
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
            verified_access: VerifiedTokens::new(),
            settings,
            clock,
            rng,
        }
    }

    /// Returns the lifetime of an access token, in seconds.
    pub(super) fn access_seconds(&self) -> i64 {
        self.settings.access_seconds
    }

    /// Returns a new access token for this generation of the login.
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

    /// Returns the refresh token of this generation of the login: the same each time.
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

    /// Returns the token by which the device of the login is known, also after the login has ended.
    pub(super) fn device(&self, login: &Login) -> String {
        let exp = (login.rotated_at + DEVICE_TOKEN_LIFETIME).seconds();
        let claims = DeviceClaims { sid: login.id, typ: Kind::Device, exp };
        signed(&Header::new(Algorithm::HS256), &claims, &self.refresh.0)
    }

    /// Verifies a device token. `None` when it is not one, expired, or not signed here.
    pub(super) fn read_device(&self, token: &str) -> Option<LoginId> {
        let claims: DeviceClaims = verified(token, &self.refresh.1, &self.validation)?;
        (claims.typ == Kind::Device && self.is_current(claims.exp)).then_some(claims.sid)
    }

    /// Verifies an access token, and returns its user too. `None` when it is not one, expired, or not signed here.
    pub(super) fn read_access(&self, token: &str) -> Option<(UserId, TokenRef)> {
        let access = self.verified_access.get_or_verify(token, || self.verify_access(token))?;
        self.is_current(access.exp).then_some((access.user, access.token))
    }

    /// Verifies all but the expiry.
    fn verify_access(&self, token: &str) -> Option<AccessToken> {
        let claims: AccessClaims =
            self.access.iter().find_map(|(_, _, verify)| verified(token, verify, &self.validation))?;
        let is_valid =
            claims.typ == Kind::Access && claims.iss == self.settings.issuer && claims.aud == self.settings.audience;
        let user = claims.sub.parse().map(UserId).ok()?;
        let token = TokenRef { login: claims.sid, generation: claims.generation };
        is_valid.then_some(AccessToken { user, token, exp: claims.exp })
    }

    /// Verifies a refresh token. `None` when it is not one, expired, or not signed here.
    pub(super) fn read_refresh(&self, token: &str) -> Option<TokenRef> {
        let claims: RefreshClaims = verified(token, &self.refresh.1, &self.validation)?;
        let is_valid = claims.typ == Kind::Refresh && self.is_current(claims.exp);
        is_valid.then_some(TokenRef { login: claims.sid, generation: claims.generation })
    }

    /// Whether a token has not expired. When it was issued is not checked: the signature shows that a node of this service issued it, whose
    /// clock may have been ahead, and a clock that is set back must not end every login.
    fn is_current(&self, exp: i64) -> bool {
        self.clock.now().seconds() < exp
    }
}

/// Checks the signature alone. [`Tokens`] checks times by its own clock, and audience and issuer.
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

/// Names a key without revealing anything of it: the start of its labelled SHA-256.
fn key_id(secret: &SecretString) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(b"faceofmind key id\0");
    context.update(secret.expose_secret().as_bytes());
    context.finish().as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
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
        assert_eq!(tokens(&clock, &["b"]).read_refresh(&first).map(|token| token.generation), Some(1));
    }

    #[test]
    fn an_access_token_is_valid_until_it_expires_and_no_second_longer() {
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
    fn every_key_verifies_and_the_first_signs() {
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
        assert_eq!(tokens.read_refresh(&tokens.device(&login)), None);
        assert_eq!(tokens.read_device(&tokens.refresh(&login)), None);
        assert_eq!(tokens.read_device(&tokens.device(&login)), Some(login.id));
        assert_eq!(tokens.read_refresh(&tokens.access(&login, &User::sample())), None);
    }

    #[test]
    fn tokens_from_a_clock_ahead_are_accepted() {
        let (ours, theirs) = (Clock::system(), Clock::system());
        for ahead in [50, 120, 3600] {
            theirs.advance(Duration::from_secs(ahead));
            let login = Login::sample(theirs.now());
            let (access, refresh) =
                (tokens(&theirs, &["a"]).access(&login, &User::sample()), tokens(&theirs, &["a"]).refresh(&login));
            assert!(tokens(&ours, &["a"]).read_access(&access).is_some(), "{ahead}");
            assert!(tokens(&ours, &["a"]).read_refresh(&refresh).is_some(), "{ahead}");
        }
    }

    #[test]
    fn no_other_algorithm_is_accepted() {
        let clock = Clock::system();
        let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzaWQiOjEsImdlbiI6MSwidHlwIjoicmVmcmVzaCIsImlhdCI6MSwiZXhwIjo5OTk5OTk5OTk5fQ.";
        assert_eq!(tokens(&clock, &["a"]).read_refresh(unsigned), None);
        assert_eq!(tokens(&clock, &["a"]).read_access("not.a.token"), None);
        let tokens = tokens(&clock, &["a"]);
        let (login, now) = (LoginId(7), clock.now().seconds());
        let claims = RefreshClaims { sid: login, generation: 1, typ: Kind::Refresh, iat: now, exp: now + 60 };
        for (algorithm, is_accepted) in [(Algorithm::HS256, true), (Algorithm::HS384, false), (Algorithm::HS512, false)]
        {
            let token = signed(&Header::new(algorithm), &claims, &tokens.refresh.0);
            assert_eq!(tokens.read_refresh(&token).is_some(), is_accepted, "{algorithm:?}");
        }
    }
}
