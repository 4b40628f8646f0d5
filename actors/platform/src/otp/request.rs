//! What the room is asked, and what it answers.

use std::time::Duration;

use faceofmind_runtime::legacy::Failure;
use secrecy::SecretString;
use uuid::Uuid;

use super::OtpCode;
use crate::rate_limit::LimitError;
use faceofmind_model::user::{ClaimId, Email};

/// What a code is good for. A code for one purpose is wrong for any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Proving the address of a new account.
    Verification,
    /// Setting a new password.
    PasswordReset,
    /// Proving the address that an account moves to.
    EmailChange,
}

impl Purpose {
    /// The word in the store.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::PasswordReset => "password_reset",
            Self::EmailChange => "email_change",
        }
    }
}

/// Asks for a code that is about to be mailed.
#[derive(Clone, Debug)]
pub struct Mint {
    /// What it is to be good for.
    pub purpose: Purpose,
    /// Where it will be mailed.
    pub address: Email,
    /// The claim it belongs to, if any; whoever types the code learns it.
    pub claim: Option<ClaimId>,
    /// The mail intent it is for.
    pub intent: Uuid,
    /// The client address that caused the intent.
    pub client: String,
}

/// A code, readable this once.
#[derive(Clone, Debug)]
pub struct Minted {
    /// The six digits.
    pub code: OtpCode,
    /// How long it is good for, from now.
    pub expires_in: Duration,
}

/// A code as somebody typed it.
#[derive(Clone, Debug)]
pub struct Guess {
    /// What it is to be good for.
    pub purpose: Purpose,
    /// Where it is said to have been mailed.
    pub address: Email,
    /// What was typed, whatever it is.
    pub code: SecretString,
    /// The client address it comes from.
    pub client: String,
}

/// That the code of an address was typed. Made by this room only.
#[derive(Clone, Debug)]
pub struct Proof {
    pub(super) slot: Slot,
    pub(super) id: String,
    pub(super) claim: Option<ClaimId>,
}

impl Proof {
    /// The claim that the code was mailed for.
    pub fn claim(&self) -> Option<ClaimId> {
        self.claim
    }
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum OtpError {
    /// The code is wrong, over, used up, for another purpose, or no code at all: nobody is told which.
    #[error("the code is invalid or expired")]
    Wrong,
    /// Too many wrong guesses at this account today.
    #[error("too many wrong codes; the next try is possible in {} s", retry_after.as_secs())]
    TooMany {
        /// How long to wait.
        retry_after: Duration,
    },
    /// It could not be looked up. With codes in Redis and Redis away: [`Failure::Dependency`].
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<faceofmind_db::StoreError> for OtpError {
    fn from(error: faceofmind_db::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<LimitError> for OtpError {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::Exceeded { retry_after } => Self::TooMany { retry_after },
            LimitError::Failed(failure) => Self::Failed(failure),
        }
    }
}

/// Where the codes of one address and purpose lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) purpose: Purpose,
    /// Its keyed hash.
    pub(super) address: String,
}
