//! Moving an account to another address. Until a code that was mailed there is typed, the old one holds.

use std::time::Duration;

use faceofmind_runtime::legacy::Failure;
use secrecy::SecretString;

use super::{
    Email, Message, Read, User, UserId, UserRegistry, Write,
    ledger::{NewAddress, ProvenAddress},
    to_the_end,
};
use faceofmind_model::RequestContext;
use faceofmind_model::login::LoginId;
use faceofmind_platform::otp::{Guess, OtpError, Purpose};
use faceofmind_platform::rate_limit::{LimitError, Use};

/// Why an account was not moved.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Wrong, expired or used up; or nobody asked to move, or meanwhile to somewhere else.
    #[error("Invalid or expired OTP")]
    BadCode,
    /// It is the account's already.
    #[error("This is the address of your account already.")]
    Same,
    /// The code was right, and another account has the address.
    #[error("This e-mail address has an account already.")]
    Taken,
    /// Too many wrong codes, or too many addresses asked for from one client.
    #[error("Too many tries.")]
    TooMany {
        /// When to try again.
        retry_after: Duration,
    },
    /// Not done, and nothing written.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<faceofmind_db::StoreError> for AddressError {
    fn from(error: faceofmind_db::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<LimitError> for AddressError {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::Exceeded { retry_after } => Self::TooMany { retry_after },
            LimitError::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl From<OtpError> for AddressError {
    fn from(error: OtpError) -> Self {
        match error {
            OtpError::Wrong => Self::BadCode,
            OtpError::TooMany { retry_after } => Self::TooMany { retry_after },
            OtpError::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl UserRegistry {
    /// Has a code mailed to the address that a user wants to move to, who has just proven the password (see `Logins::prove_password`),
    /// and a notice to the old one. Whether the new one has an account changes neither the answer nor the work. It is a claim on an
    /// address, and counts as a registration does.
    ///
    /// # Errors
    /// [`AddressError::Same`], [`AddressError::TooMany`]; [`AddressError::Failed`], also when the user was changed meanwhile: the
    /// password is to be proven again.
    pub async fn request_address(
        &self,
        proven: &User,
        address: Email,
        client: &RequestContext,
    ) -> Result<(), AddressError> {
        if address == proven.email {
            return Err(AddressError::Same);
        }
        let from_here = Use { limit: self.settings.registrations, subject: client.rate_limit_key() };
        let taken = self.neighbours.limits.take(&[from_here]).await?;
        let new = NewAddress { user: proven.id, compared_at: proven.revision, address, client: client.clone() };
        let kept: Result<(), Failure> = self.write(&proven.id, |reply| Write::RequestAddress(new, reply)).await;
        if kept.is_err() {
            self.neighbours.limits.give_back(taken).await;
        }
        Ok(kept?)
    }

    /// Moves the account to the address that the code was mailed to; the user's log-ins end but for `keep`.
    ///
    /// # Errors
    /// [`AddressError`]; a code whose move could not be written stays good.
    pub async fn confirm_address(
        &self,
        user: UserId,
        code: &SecretString,
        keep: LoginId,
        client: &RequestContext,
    ) -> Result<User, AddressError> {
        let wanted = self.shard(&user).ask(|reply| Message::Read(Read::WantedAddress(user, reply))).await;
        let wanted: Result<_, Failure> = wanted;
        let (claim, address) = wanted?.ok_or(AddressError::BadCode)?;
        let guess = Guess {
            purpose: Purpose::EmailChange,
            address: address.clone(),
            code: code.clone(),
            client: client.rate_limit_key(),
        };
        let proven = ProvenAddress { user, claim, address, keep, client: client.clone() };
        let registry = self.clone();
        to_the_end(async move { registry.redeem_and_move(guess, proven).await }).await
    }

    async fn redeem_and_move(&self, guess: Guess, proven: ProvenAddress) -> Result<User, AddressError> {
        let proof = self.neighbours.otp.redeem(guess).await?;
        let moved = if proof.claim() == Some(proven.claim) {
            self.write(&{ proven.user }, |reply| Write::ChangeAddress(proven, reply)).await
        } else {
            Err(AddressError::BadCode)
        };
        match moved {
            Ok((user, old)) => {
                self.forget_account_codes([&old, &user.email]).await;
                Ok(user)
            }
            Err(AddressError::Taken) => Err(AddressError::Taken),
            // Nothing was written; or it is the code of somebody else who wants the same address, and may still type it.
            Err(error) => {
                self.restore_code(&proof).await;
                Err(error)
            }
        }
    }

    /// What was mailed to addresses for accounts that had them before.
    async fn forget_account_codes(&self, addresses: [&Email; 2]) {
        for address in addresses {
            self.forget_codes(Purpose::Verification, address).await;
            self.forget_codes(Purpose::PasswordReset, address).await;
        }
    }
}
