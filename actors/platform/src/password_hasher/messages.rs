//! What the password hasher can be asked.

use faceofmind_runtime::{AskError, Caller, Message};
use secrecy::SecretString;

use super::{hash::PasswordHash, verify::VerifyOutcome};

/// Hashes a password with a new salt.
pub struct HashPassword {
    pub caller: Caller,
    pub password: SecretString,
}

impl Message for HashPassword {
    type Output = PasswordHash;
    type Error = AskError;
}

/// Rates a new password and hashes it.
pub struct HashNewPassword {
    pub caller: Caller,
    pub password: SecretString,
    /// The lowest accepted score by zxcvbn, 0 to 4. With 0 the password is not rated.
    pub min_score: u8,
    /// The user's names and address, which make a password weaker.
    pub own_words: Vec<String>,
}

impl Message for HashNewPassword {
    type Output = PasswordHash;
    type Error = NewPasswordError;
}

/// Why a new password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum NewPasswordError {
    #[error("the password is below the lowest accepted score")]
    TooWeak,
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// Compares a password with a hash.
pub struct VerifyPassword {
    pub caller: Caller,
    pub password: SecretString,
    /// Without a hash the same work is done and nothing matches, so that timing does not reveal which accounts exist.
    pub hash: Option<PasswordHash>,
}

impl Message for VerifyPassword {
    type Output = VerifyOutcome;
    type Error = AskError;
}
