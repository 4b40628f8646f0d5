//! Why a request about an account failed.

use std::time::Duration;

use faceofmind_db::StoreError;
use faceofmind_platform::{otp::OtpError, rate_limit::RateLimitError};
use faceofmind_runtime::AskError;

use super::PolicyViolation;

/// Why a request about an account failed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("the user does not exist")]
    NotFound,
    #[error("the user is the last active admin")]
    LastAdmin,
    #[error("the account's role is not user")]
    NotAUserAccount,
    #[error("the e-mail address belongs to another account")]
    EmailTaken,
    #[error("the new e-mail address is the account's own")]
    EmailUnchanged,
    /// Wrong, expired or used, or what it was sent for has been replaced.
    #[error("the code is not valid")]
    InvalidCode,
    #[error("the password was refused: {0}")]
    Policy(#[from] PolicyViolation),
    #[error("rate limit exceeded; retry in {} s", .retry_after.as_secs())]
    RateLimited { retry_after: Duration },
    #[error(transparent)]
    Ask(#[from] AskError),
    /// [`StoreError::Conflict`] also when the user changed after the password was verified: it must be verified again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why no new password was set.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Wrong, expired or used.
    #[error("the code is not valid")]
    InvalidCode,
    #[error("the current password is wrong")]
    WrongPassword,
    #[error("the new password was refused: {0}")]
    Policy(#[from] PolicyViolation),
    #[error("rate limit exceeded; retry in {} s", .retry_after.as_secs())]
    RateLimited { retry_after: Duration },
    #[error(transparent)]
    Ask(#[from] AskError),
    /// [`StoreError::Conflict`] also when the user changed after the current password was verified: it must be verified again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RateLimitError> for AccountError {
    fn from(error: RateLimitError) -> Self {
        match error {
            RateLimitError::Exceeded { retry_after } => Self::RateLimited { retry_after },
            RateLimitError::Ask(error) => error.into(),
        }
    }
}

impl From<OtpError> for AccountError {
    fn from(error: OtpError) -> Self {
        match error {
            OtpError::Invalid => Self::InvalidCode,
            OtpError::TooManyAttempts { retry_after } => Self::RateLimited { retry_after },
            OtpError::Ask(error) => error.into(),
            OtpError::Store(error) => error.into(),
        }
    }
}

impl From<OtpError> for PasswordError {
    fn from(error: OtpError) -> Self {
        match error {
            OtpError::Invalid => Self::InvalidCode,
            OtpError::TooManyAttempts { retry_after } => Self::RateLimited { retry_after },
            OtpError::Ask(error) => error.into(),
            OtpError::Store(error) => error.into(),
        }
    }
}
