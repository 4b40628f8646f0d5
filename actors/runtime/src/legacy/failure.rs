use faceofmind_db::StoreError;

use crate::AskError;

/// Lets an error enum with `From<AskError>` and `From<StoreError>` take a legacy failure.
#[macro_export]
macro_rules! legacy_failure {
    ($error:ty) => {
        impl From<$crate::legacy::Failure> for $error {
            fn from(failure: $crate::legacy::Failure) -> Self {
                match failure.split() {
                    Ok(ask) => ask.into(),
                    Err(store) => store.into(),
                }
            }
        }
    };
}

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0} is busy: its mailbox is full")]
    Busy(&'static str),
    #[error("{0} is not running")]
    Unavailable(&'static str),
    #[error("{0} did not answer in time")]
    TimedOut(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{service}: {reason}")]
    Dependency { service: &'static str, reason: String },
}

impl Failure {
    pub fn split(self) -> Result<AskError, StoreError> {
        match self {
            Self::Busy(name) => Ok(AskError::Busy(name)),
            Self::Unavailable(name) => Ok(AskError::Unavailable(name)),
            Self::TimedOut(name) => Ok(AskError::TimedOut(name)),
            Self::Dependency { service, .. } => Ok(AskError::Unavailable(service)),
            Self::Store(error) => Err(error),
        }
    }

    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient() || matches!(error, StoreError::Conflict),
            _ => true,
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Busy(name) => Self::Busy(name),
            AskError::Unavailable(name) => Self::Unavailable(name),
            AskError::TimedOut(name) => Self::TimedOut(name),
        }
    }
}

impl From<Failure> for faceofmind_db::export::ExportAborted {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => Self::Store(error),
            other => Self::Store(StoreError::corrupt(other.to_string())),
        }
    }
}
