//! Stored hashes, their kinds, and why one is not verified.

use std::fmt;

/// The kinds of hash and the first characters of each.
const PREFIXES: [(&str, HashKind); 11] = [
    ("$argon2id$", HashKind::Argon2id),
    ("$2a$", HashKind::Bcrypt),
    ("$2b$", HashKind::Bcrypt),
    ("$2y$", HashKind::Bcrypt),
    ("bcrypt$", HashKind::DjangoBcrypt),
    ("bcrypt_sha256$", HashKind::DjangoBcryptSha256),
    ("pbkdf2_sha256$", HashKind::DjangoPbkdf2Sha256),
    ("pbkdf2_sha1$", HashKind::DjangoPbkdf2Sha1),
    ("argon2$", HashKind::DjangoArgon2),
    ("scrypt$", HashKind::DjangoScrypt),
    ("!", HashKind::DjangoUnusable),
];

/// A password's hash as it is stored. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the kind of the hash, which its first characters tell.
    pub fn kind(&self) -> HashKind {
        HashKind::of(&self.0)
    }

    /// Whether another program wrote the hash, before this database was taken over from it.
    pub fn is_legacy(&self) -> bool {
        self.kind() != HashKind::Argon2id
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A kind of stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKind {
    /// This program's own.
    Argon2id,
    /// `$2b$…`, also `$2a$…` and `$2y$…`: passlib's.
    Bcrypt,
    /// `bcrypt$$2b$…`
    DjangoBcrypt,
    /// `bcrypt_sha256$$2b$…`: bcrypt of the SHA-256 in lower-case hexadecimal digits.
    DjangoBcryptSha256,
    /// `pbkdf2_sha256$ROUNDS$SALT$BASE64`
    DjangoPbkdf2Sha256,
    /// `pbkdf2_sha1$ROUNDS$SALT$BASE64`
    DjangoPbkdf2Sha1,
    /// `argon2$argon2id$…`, and `argon2$argon2i$…` before Django 3.2.
    DjangoArgon2,
    /// `scrypt$N$SALT$R$P$BASE64`
    DjangoScrypt,
    /// `!…`: an account without a password.
    DjangoUnusable,
    /// No text.
    Empty,
    /// Anything else, such as a password in clear.
    Unknown,
}

impl HashKind {
    pub(super) fn of(text: &str) -> Self {
        let known = PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix));
        known.map_or(if text.is_empty() { Self::Empty } else { Self::Unknown }, |(_, kind)| *kind)
    }
}

impl fmt::Display for HashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Argon2id => "argon2id",
            Self::Bcrypt => "bcrypt",
            Self::DjangoBcrypt => "django bcrypt",
            Self::DjangoBcryptSha256 => "django bcrypt_sha256",
            Self::DjangoPbkdf2Sha256 => "django pbkdf2_sha256",
            Self::DjangoPbkdf2Sha1 => "django pbkdf2_sha1",
            Self::DjangoArgon2 => "django argon2",
            Self::DjangoScrypt => "django scrypt",
            Self::DjangoUnusable => "django unusable",
            Self::Empty => "empty",
            Self::Unknown => "unknown",
        })
    }
}

/// Why no password can match a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashFault {
    /// Not of the form of its kind, or of no kind.
    #[error("malformed")]
    Malformed,
    /// Its rounds, cost or memory exceed the bound of its kind.
    #[error("too dear")]
    TooDear,
    /// It stands for no password.
    #[error("unusable")]
    Unusable,
}
