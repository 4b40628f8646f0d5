//! Old names, until their last caller is gone.

use faceofmind_db::StoreError;
use faceofmind_model::UserId;
use faceofmind_runtime::legacy::Failure;
use serde::Serialize;

use super::{ClaimResult, IdempotencyKey, StoredResponse};
pub use super::{
    bulk::store_responses as settle_all, look_up as answered, reencrypt::reencrypt as reseal, store_response as settle,
};

pub type Answer = StoredResponse;
pub type Claim = ClaimResult;
pub type Key = IdempotencyKey;

#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once<T> {
    Now(T),
    Again(StoredResponse),
}

#[doc(hidden)]
impl ClaimResult {
    pub fn earlier<E>(self, conflict: E) -> Result<Option<StoredResponse>, E> {
        self.into_replay(conflict)
    }
}

#[doc(hidden)]
impl IdempotencyKey {
    pub fn of(user: UserId, endpoint: impl Into<String>, key: impl Into<String>, body: &[u8]) -> Self {
        Self::new(user, endpoint, key, body)
    }
}

#[doc(hidden)]
impl StoredResponse {
    pub fn of(status: u16, body: &impl Serialize) -> Result<Self, Failure> {
        Ok(Self { status, body: serde_json::to_string(body).map_err(StoreError::encode)? })
    }
}
