//! Erases users. The first transaction removes what identifies the user, what lets the user in and what other users can read. The rest of
//! a user with many rows follows in slices, each in a transaction of its own, so that no other request waits for all of them.

use std::sync::PoisonError;

use faceofmind_base::Timestamp;
use faceofmind_db::Tx;
use faceofmind_model::{
    User, UserId,
    event::{EventContext, UserEvent},
};
use faceofmind_platform::outbox::Wake;

use super::AccountService;
use crate::accounts::{AccountError, ErasureSlice, erasures, store};

/// The most detections and the most events that one transaction removes. A slice then takes a fraction of a second.
const SLICE_ROWS: usize = 5_000;

impl AccountService {
    /// Erases a user that [`store::lock_for_delete`] has locked. Where rows remain, [`Self::continue_erasures`] removes them.
    pub(super) async fn erase(&self, tx: &mut Tx, user: &User, events: &EventContext) -> Result<(), AccountError> {
        tx.request_vacuum().await?;
        let slice = ErasureSlice { user: user.id, email: Some(&user.email), max_rows: SLICE_ROWS };
        if (self.hooks.erase)(tx, slice).await? {
            return Ok(erasures::start(tx, user.id, events, self.deps.clock.now()).await?);
        }
        self.finish_erasure(tx, user.id, events).await
    }

    /// Removes the remaining rows of erased users. A failure of one erasure does not hold up the others.
    pub(in crate::accounts) async fn continue_erasures(&self) -> Result<(), AccountError> {
        let unfinished = self.unfinished_erasures().await?;
        if unfinished.is_empty() {
            return Ok(());
        }
        let mut result = Ok(());
        for user in unfinished {
            if let Err(error) = self.continue_erasure(user).await {
                result = Err(error);
            }
        }
        self.unfinished_erasures().await?;
        result
    }

    async fn unfinished_erasures(&self) -> Result<Vec<UserId>, AccountError> {
        let unfinished = erasures::unfinished(self.deps.db.read_conn().await?.connection()).await?;
        *self.oldest_erasure.lock().unwrap_or_else(PoisonError::into_inner) =
            unfinished.first().map(|(_, since)| *since);
        Ok(unfinished.into_iter().map(|(user, _)| user).collect())
    }

    /// Returns when the oldest erasure that is not finished was requested.
    pub(in crate::accounts) fn oldest_erasure(&self) -> Option<Timestamp> {
        *self.oldest_erasure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn continue_erasure(&self, user: UserId) -> Result<(), AccountError> {
        while self.erase_slice(user).await? {}
        self.deps.publisher.tell(Wake);
        Ok(())
    }

    /// Returns whether rows may remain. The lock lets several nodes work on one erasure.
    async fn erase_slice(&self, user: UserId) -> Result<bool, AccountError> {
        let mut tx = self.deps.db.begin().await?;
        let Some(events) = erasures::lock(&mut tx, user).await? else { return Ok(false) };
        let rows_remain = (self.hooks.erase)(&mut tx, ErasureSlice { user, email: None, max_rows: SLICE_ROWS }).await?;
        if !rows_remain {
            self.finish_erasure(&mut tx, user, &events).await?;
        }
        tx.commit().await?;
        Ok(rows_remain)
    }

    async fn finish_erasure(&self, tx: &mut Tx, user: UserId, events: &EventContext) -> Result<(), AccountError> {
        tx.request_vacuum().await?;
        store::delete(tx, user).await?;
        Ok(self.record(tx, events, UserEvent::Deleted { user_id: user }).await?)
    }
}
