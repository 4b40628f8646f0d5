//! Writes batches: a batch in one transaction, or, when one of its rows fails, each command alone, so that a bad row fails by itself.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use faceofmind_db::StoreError;
use faceofmind_platform::{Platform, outbox::Wake};
use faceofmind_runtime::FailPoint;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    batch_tx::BatchTx,
    commands::{CommandResult, PendingCommand},
    failpoint::FailPointSite,
    large_deletion,
    messages::SessionError,
    row_locks::RowLocks,
};

/// What the writer has done since the actor started.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct WriteCounts {
    /// Batches written or tried.
    pub batches: u64,
    /// Batches that failed as a whole and whose commands were written singly.
    pub batches_split: u64,
    /// Commands committed or replayed.
    pub committed: u64,
    /// Commands refused or failed.
    pub rejected: u64,
}

pub(super) struct BatchWriter {
    deps: Arc<Platform>,
    fail_point: FailPoint<FailPointSite>,
    counts: Mutex<WriteCounts>,
}

impl BatchWriter {
    pub(super) fn new(deps: Arc<Platform>, fail_point: FailPoint<FailPointSite>) -> Self {
        Self { deps, fail_point, counts: Mutex::default() }
    }

    /// Writes a batch and replies to every caller that still waits. Returns the commands for a later batch.
    pub(super) async fn flush(&self, mut batch: Vec<PendingCommand>) -> Vec<PendingCommand> {
        let mut held = Vec::new();
        if batch.is_empty() {
            return held;
        }
        self.count(|counts| counts.batches += 1);
        match self.commit(&mut batch, &mut held).await {
            Ok(results) => self.reply_all(batch, results),
            Err(error) if batch.len() > 1 && is_row_error(&error) => {
                tracing::warn!(commands = batch.len(), %error, "batch failed; writing its commands one by one");
                self.count(|counts| counts.batches_split += 1);
                self.commit_individually(batch, &mut held).await;
            }
            Err(error) => self.reject_all(batch, error),
        }
        held
    }

    async fn commit_individually(&self, batch: Vec<PendingCommand>, held: &mut Vec<PendingCommand>) {
        let mut rest = batch.into_iter();
        while let Some(pending) = rest.next() {
            let mut alone = vec![pending];
            match self.commit(&mut alone, held).await {
                Ok(results) => self.reply_all(alone, results),
                Err(error) if is_row_error(&error) => self.reject_all(alone, error),
                Err(error) => return self.reject_all(alone.into_iter().chain(rest).collect(), error),
            }
        }
    }

    /// Commits the whole batch or nothing. Before, moves the commands whose rows another transaction holds, and deletions that take several
    /// batches, to `held`, and drops those whose callers have gone.
    async fn commit(
        &self,
        batch: &mut Vec<PendingCommand>,
        held: &mut Vec<PendingCommand>,
    ) -> Result<Vec<CommandResult>, SessionError> {
        let mut tx = self.deps.db.begin().await?;
        let locks = RowLocks::take(&mut tx, batch).await?;
        held.extend(batch.extract_if(.., |pending| locks.are_missing_for(pending)));
        batch.retain(|pending| pending.caller.begin());
        large_deletion::defer(&mut tx, &locks, batch, held).await?;
        if batch.is_empty() {
            tx.commit().await?;
            return Ok(Vec::new());
        }
        let mut batch_tx = BatchTx::new((tx, locks), batch, &self.deps, &self.fail_point);
        batch_tx.run().await?;
        let (results, has_events) = batch_tx.commit().await?;
        if has_events {
            self.deps.publisher.tell(Wake);
        }
        Ok(results)
    }

    fn reply_all(&self, batch: Vec<PendingCommand>, results: Vec<CommandResult>) {
        for (pending, result) in batch.into_iter().zip(results) {
            self.count(|counts| *if result.is_ok() { &mut counts.committed } else { &mut counts.rejected } += 1);
            pending.caller.reply(result);
        }
    }

    /// Fails every command: the first one with the error, and the others as unavailable or unknown. Errors of the database cannot be cloned.
    fn reject_all(&self, batch: Vec<PendingCommand>, error: SessionError) {
        self.count(|counts| counts.rejected += batch.len() as u64);
        let is_unknown = matches!(error, SessionError::Store(StoreError::OutcomeUnknown(_)));
        let mut first = Some(map_error(error));
        for pending in batch {
            let error = first.take().unwrap_or_else(|| batch_failed(is_unknown));
            pending.caller.reply(Err(error));
        }
    }

    pub(super) fn counts(&self) -> WriteCounts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, add: impl FnOnce(&mut WriteCounts)) {
        add(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whether one of the commands may be to blame: the database rejected its row, a stored text of it cannot be read, or a concurrent change
/// took its row.
fn is_row_error(error: &SessionError) -> bool {
    match error {
        SessionError::Store(error) => error.is_row_error() || matches!(error, StoreError::Conflict),
        _ => false,
    }
}

fn batch_failed(is_unknown: bool) -> SessionError {
    let cause = io::Error::other("the transaction of the batch failed; its first command has the cause").into();
    let failure = if is_unknown { StoreError::OutcomeUnknown } else { StoreError::Unavailable };
    failure(cause).into()
}

/// A violated foreign key means that the user was deleted: the other rows that a command refers to are locked.
fn map_error(error: SessionError) -> SessionError {
    match error {
        SessionError::Store(error) if error.is_foreign_key_violation() => SessionError::UserNotFound,
        error => error,
    }
}
