//! Old names, until the last caller sends messages.

use std::time::Duration;

use faceofmind_base::{Clock, Rng};
use faceofmind_db::StoreError;
use faceofmind_runtime::{ChildSpec, Handle, legacy::Failure};

use super::{Acquire, Counters, Deps, RateLimitError, RateLimitKey, RateLimiter, Refund, Reservation, Settings};

pub type LimiterSettings = Settings;
pub type Taken = Reservation;
pub type Use = RateLimitKey;

#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Limits(pub Option<Handle<RateLimiter>>);

impl Limits {
    pub fn new(settings: Settings, counters: Counters, key: &[u8], clock: Clock, rng: Rng) -> (Self, ChildSpec) {
        let (handle, child) = RateLimiter::new(settings, Deps { counters, key: key.to_vec(), clock, rng });
        (Self(Some(handle)), child)
    }

    pub fn off() -> Self {
        Self(None)
    }

    pub async fn take(&self, uses: &[RateLimitKey]) -> Result<Reservation, LimitError> {
        let Some(handle) = &self.0 else { return Ok(Reservation::default()) };
        Ok(handle.ask(Acquire(uses.to_vec())).await?)
    }

    pub async fn give_back(&self, reservation: Reservation) {
        if let Some(handle) = &self.0 {
            let _logged = handle.ask(Refund(reservation)).await;
        }
    }
}

#[doc(hidden)]
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    #[error("rate limit reached; the next attempt is possible in {} s", retry_after.as_secs())]
    Exceeded { retry_after: Duration },
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<RateLimitError> for LimitError {
    fn from(error: RateLimitError) -> Self {
        match error {
            RateLimitError::Exceeded { retry_after } => Self::Exceeded { retry_after },
            RateLimitError::Ask(error) => Self::Failed(error.into()),
        }
    }
}

impl From<StoreError> for LimitError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}
