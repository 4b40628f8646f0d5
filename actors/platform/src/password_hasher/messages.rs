//! What the password hasher can be asked.

use faceofmind_runtime::{AskError, Message};
use secrecy::SecretString;

use super::argon::{PasswordHash, VerifyOutcome};

/// Hashes a password with a new salt.
pub struct HashPassword {
    pub password: SecretString,
}

impl Message for HashPassword {
    type Output = PasswordHash;
    type Error = AskError;
}

/// Compares a password with a hash.
pub struct VerifyPassword {
    pub password: SecretString,
    /// Without a hash the same work is done and nothing matches, so that timing does not reveal which accounts exist.
    pub hash: Option<PasswordHash>,
}

impl Message for VerifyPassword {
    type Output = VerifyOutcome;
    type Error = AskError;
}
