//! Users and their e-mail addresses.

use std::fmt;

use faceofmind_base::{Timestamp, id};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

id! {
    /// The key of a user.
    UserId
}
id! {
    /// The key of a pending claim on an address: a pending registration or a pending e-mail change.
    ClaimId
}

/// The longest e-mail address, in characters (RFC 5321 §4.5.3.1.3 allows 256 for the path with its brackets).
pub const EMAIL_MAX: usize = 254;

/// An e-mail address: ASCII, trimmed, in lower case, at most 254 characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    /// Parses an address as a person types it.
    ///
    /// # Errors
    /// A sentence for that person: what is wrong with the address.
    pub fn parse(typed: &str) -> Result<Self, &'static str> {
        let address = typed.trim();
        if address.len() > EMAIL_MAX {
            return Err("An e-mail address has 254 characters at most.");
        }
        if !address.is_ascii() {
            return Err("Only ASCII letters, digits and signs can be used in an e-mail address.");
        }
        if is_well_formed(address) {
            Ok(Self(address.to_ascii_lowercase()))
        } else {
            Err("This is not an e-mail address: it should look like name@example.org.")
        }
    }

    /// Returns the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The dot-atom form of RFC 5322 §3.4.1, and a domain of labels of 63 characters at most (RFC 1035 §2.3.4); quoted local parts and address
/// literals are refused.
fn is_well_formed(address: &str) -> bool {
    let Some((local, domain)) = address.split_once('@') else { return false };
    let atom = |part: &str, extra: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    local.len() <= 64
        && local.split('.').all(|part| atom(part, "!#$%&'*+-/=?^_`{|}~"))
        && domain
            .split('.')
            .all(|label| label.len() <= 63 && atom(label, "-") && !label.starts_with('-') && !label.ends_with('-'))
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

impl TryFrom<String> for Email {
    type Error = &'static str;
    fn try_from(typed: String) -> Result<Self, Self::Error> {
        Self::parse(&typed)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

/// Declares an enum of words that the database, tokens and clients spell alike.
macro_rules! string_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$word_doc])* $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Parses a word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }
    };
}

string_enum! {
    /// What a user may do.
    Role {
        /// Records their own sessions.
        User = "user",
        /// Works with users. Has the rights of a user here.
        Professional = "professional",
        /// Manages users.
        Admin = "admin",
    }
}

string_enum! {
    /// Whether a user may log in.
    Status {
        /// The address is not verified yet.
        Inactive = "inactive",
        /// May log in.
        Active = "active",
        /// Closed by the user or an admin.
        Deactivated = "deactivated",
        /// Suspended by an admin.
        Suspended = "suspended",
    }
}

/// A user, without the password hash, which never leaves the accounts module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's key.
    pub id: UserId,
    /// The unique e-mail address.
    pub email: Email,
    /// 1 to 150 characters.
    pub first_name: String,
    /// 1 to 150 characters.
    pub last_name: String,
    /// What the user may do.
    pub role: Role,
    /// Whether the user may log in.
    pub status: Status,
    /// When the user first registered.
    pub created_at: Timestamp,
    /// The change counter: every write increments it.
    pub revision: i64,
    /// The user's time zone (IANA name), if set.
    pub time_zone: Option<String>,
    /// The user's language (BCP 47 tag), if set.
    pub language: Option<String>,
}

/// A change to a user. A field that is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// 1 to 150 characters.
    pub first_name: Option<String>,
    /// 1 to 150 characters.
    pub last_name: Option<String>,
    /// IANA name.
    pub time_zone: Option<String>,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// Only admins set it.
    pub role: Option<Role>,
    /// Only admins set it, except to close their own account.
    pub status: Option<Status>,
}

impl UserChange {
    /// Returns a change of the status alone.
    pub fn status(status: Status) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    /// Changes the user.
    pub fn apply_to(self, user: &mut User) {
        user.first_name = self.first_name.unwrap_or_else(|| std::mem::take(&mut user.first_name));
        user.last_name = self.last_name.unwrap_or_else(|| std::mem::take(&mut user.last_name));
        user.time_zone = self.time_zone.or(user.time_zone.take());
        user.language = self.language.or(user.language.take());
        user.role = self.role.unwrap_or(user.role);
        user.status = self.status.unwrap_or(user.status);
    }
}

impl User {
    /// Whether the user is an admin who may log in. The service keeps at least one.
    pub fn is_active_admin(&self) -> bool {
        self.role == Role::Admin && self.status == Status::Active
    }
}

#[cfg(any(test, feature = "test-hooks"))]
impl User {
    /// Returns an active user for tests.
    pub fn sample() -> Self {
        Self {
            id: UserId(1),
            email: Email::parse("ada@example.org").expect("an address"),
            first_name: "Ada".into(),
            last_name: "Lovelace".into(),
            role: Role::User,
            status: Status::Active,
            created_at: Timestamp::from_micros(0),
            revision: 1,
            time_zone: None,
            language: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_trimmed_and_lower_cased() {
        assert_eq!(
            Email::parse("  Ada.Lovelace+fom@Example.ORG ").expect("well formed").as_str(),
            "ada.lovelace+fom@example.org"
        );
    }

    #[test]
    fn a_malformed_address_is_refused() {
        for typed in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.org",
            "a@b@c",
            "a b@c.org",
            "a..b@c.org",
            "a@-c.org",
            "ä@c.org",
            "a@c\0.org",
            "a@c.org\r\nBcc: x@y.z",
        ] {
            assert!(Email::parse(typed).is_err(), "{typed:?}");
        }
        assert!(Email::parse(&format!("a@{}.org", "x".repeat(250))).is_err());
    }

    /// Otherwise its mails would become dead letters.
    #[test]
    fn a_mail_can_be_addressed_to_every_accepted_address() {
        let (longest, too_long) = ("x".repeat(63), "x".repeat(64));
        for typed in [
            format!("a@{too_long}.org"),
            format!("a@example.{too_long}"),
            format!("a@{longest}.org"),
            format!("{too_long}@{longest}.{longest}.org"),
            format!("a@{longest}.{longest}.{longest}.{}", "x".repeat(59)),
            "a@localhost".to_owned(),
            "a@127.0.0.1".to_owned(),
            "!#$%&'*+-/=?^_`{|}~@1.x-y.example".to_owned(),
        ] {
            let can_be_addressed = typed.parse::<lettre::Address>().is_ok();
            assert_eq!(Email::parse(&typed).is_ok(), can_be_addressed, "{typed}");
        }
    }

    #[test]
    fn debug_does_not_print_an_address() {
        assert_eq!(format!("{:?}", Email::parse("ada@example.org")), "Ok(Email(…))");
    }

    #[test]
    fn words_parse_as_they_are_written() {
        for &status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Role::parse("root"), None);
    }
}
