//! Old names, until the last caller sends messages.

use faceofmind_runtime::{Handle, legacy::Failure};
use secrecy::SecretString;

use super::{HashPassword, PasswordHash, PasswordHasher, VerifyOutcome, VerifyPassword};

pub type Verdict = VerifyOutcome;

#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Hasher(pub Handle<PasswordHasher>);

impl Hasher {
    pub async fn hash(&self, password: SecretString) -> Result<PasswordHash, Failure> {
        Ok(self.0.ask(HashPassword { password }).await?)
    }

    pub async fn verify(&self, password: SecretString, hash: Option<PasswordHash>) -> Result<VerifyOutcome, Failure> {
        Ok(self.0.ask(VerifyPassword { password, hash }).await?)
    }
}
