//! Registering, and proving that an address is one's own.

use std::time::Duration;

use faceofmind_runtime::legacy::Failure;
use secrecy::SecretString;

use super::{CodeFor, Email, PasswordRefused, User, UserRegistry, Write, ledger::NewRegistration, to_the_end};
use faceofmind_model::RequestContext;
use faceofmind_model::event::EventContext;
use faceofmind_platform::otp::{Guess, OtpError, Proof, Purpose};
use faceofmind_platform::rate_limit::{LimitError, Use};

/// What somebody says of themself.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The address that they say is theirs.
    pub email: Email,
    /// What they want to log in with.
    pub password: SecretString,
    /// 1 to 100 characters.
    pub first_name: String,
    /// 1 to 100 characters.
    pub last_name: String,
}

/// Why a registration was not taken.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The password breaks a rule.
    #[error(transparent)]
    Refused(#[from] PasswordRefused),
    /// Too many from one client address.
    #[error("Too many registrations.")]
    TooMany {
        /// When to try again.
        retry_after: Duration,
    },
    /// Not done, and nothing written.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<faceofmind_db::StoreError> for RegisterError {
    fn from(error: faceofmind_db::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<LimitError> for RegisterError {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::Exceeded { retry_after } => Self::TooMany { retry_after },
            LimitError::Failed(failure) => Self::Failed(failure),
        }
    }
}

/// Why a code did not verify an address.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Wrong, expired or used up; or its claim was replaced.
    #[error("Invalid or expired OTP")]
    BadCode,
    /// Too many wrong codes.
    #[error("Too many wrong codes.")]
    TooMany {
        /// When to try again.
        retry_after: Duration,
    },
    /// Not done, and nothing written.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<faceofmind_db::StoreError> for VerifyError {
    fn from(error: faceofmind_db::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<OtpError> for VerifyError {
    fn from(error: OtpError) -> Self {
        match error {
            OtpError::Wrong => Self::BadCode,
            OtpError::TooMany { retry_after } => Self::TooMany { retry_after },
            OtpError::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl UserRegistry {
    /// Takes a claim on an address and has a mail sent to it. Whether the address is known changes neither the answer nor the work.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register(&self, registration: Registration, client: &RequestContext) -> Result<(), RegisterError> {
        let Registration { email, password, first_name, last_name } = registration;
        self.settings.passwords.judge(&password, &email, [&first_name, &last_name])?;
        let from_here = Use { limit: self.settings.registrations, subject: client.rate_limit_key() };
        let taken = self.neighbours.limits.take(&[from_here]).await?;
        let kept = async {
            let password = self.neighbours.hasher.hash(password).await?;
            let new = NewRegistration { email: email.clone(), first_name, last_name, password, client: client.clone() };
            self.write(&email, |reply| Write::Register(new, reply)).await
        };
        let kept: Result<(), Failure> = kept.await;
        if kept.is_err() {
            self.neighbours.limits.give_back(taken).await;
        }
        Ok(kept?)
    }

    /// Makes the claim that the code was mailed for the account's, and the account active.
    ///
    /// # Errors
    /// [`VerifyError`]; a code whose account could not be written stays good.
    pub async fn verify(
        &self,
        email: &Email,
        code: &SecretString,
        client: &RequestContext,
    ) -> Result<User, VerifyError> {
        let guess = Guess {
            purpose: Purpose::Verification,
            address: email.clone(),
            code: code.clone(),
            client: client.rate_limit_key(),
        };
        let (registry, email, origin) = (self.clone(), email.clone(), client.events.clone());
        to_the_end(async move { registry.redeem_and_verify(guess, email, origin).await }).await
    }

    async fn redeem_and_verify(&self, guess: Guess, email: Email, origin: EventContext) -> Result<User, VerifyError> {
        let proof = self.neighbours.otp.redeem(guess).await?;
        let claim = proof.claim().ok_or(VerifyError::BadCode)?;
        let written_for = email.clone();
        let verified: Result<User, VerifyError> =
            self.write(&email, |reply| Write::Verify { email: written_for, claim, origin, reply }).await;
        match &verified {
            Ok(_) => self.forget_codes(Purpose::Verification, &email).await,
            Err(VerifyError::Failed(_)) => self.restore_code(&proof).await,
            Err(_) => {}
        }
        verified
    }

    /// What is left of a purpose that is served; left alone it expires in minutes.
    pub(super) async fn forget_codes(&self, purpose: Purpose, email: &Email) {
        if let Err(failure) = self.neighbours.otp.forget(purpose, email).await {
            tracing::warn!(%failure, "codes that are of no use any more were not forgotten");
        }
    }

    /// A code whose change could not be written is to be good again.
    pub(super) async fn restore_code(&self, proof: &Proof) {
        if let Err(failure) = self.neighbours.otp.restore(proof).await {
            tracing::warn!(%failure, "a code was used up for nothing: its owner needs another");
        }
    }

    /// Has a fresh code mailed to somebody who has typed the right password of an account that is not verified. It is for the claim whose
    /// password that was; when somebody has made another meanwhile, none is sent.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn send_code_again(&self, proven: &User, client: &RequestContext) -> Result<(), Failure> {
        let (occasion, client) = (CodeFor::Claim { user: proven.id, revision: proven.revision }, client.clone());
        self.write(&proven.id, |reply| Write::SendCode { occasion, client, reply }).await
    }
}
