//! The erasure of a deleted user from the stream, in a task beside publishing.

use std::{future, time::Duration};

use faceofmind_model::UserId;
use tokio::{task::JoinSet, time::Instant};

use super::{
    OutboxError,
    stream::{StreamWriter, nats_error},
};

/// How long a failed erasure waits.
const RETRY: Duration = Duration::from_secs(1);

/// The erasure of one user at a time.
#[derive(Default)]
pub(super) struct StreamErasure {
    /// The user who is being erased, or was erased last.
    user: Option<UserId>,
    /// Up to this sequence number no message of the user is left, once the task has ended.
    erased_to: u64,
    /// Whether messages may have arrived after `erased_to` that this node did not send.
    has_new_messages: bool,
    /// When a failed erasure begins again.
    retry_at: Option<Instant>,
    last_error: Option<String>,
    task: JoinSet<Result<u64, OutboxError>>,
}

impl StreamErasure {
    /// Whether no message of this user is left in the stream. Otherwise the erasure runs, or begins with a later call.
    pub(super) fn is_erased(&mut self, user: UserId, writer: &StreamWriter) -> bool {
        if let Some(ended) = self.task.try_join_next() {
            self.note(ended.map_err(nats_error).flatten());
        }
        if self.user != Some(user) {
            *self = Self { user: Some(user), has_new_messages: true, ..Self::default() };
        }
        let waits = self.retry_at.is_some_and(|at| at > Instant::now());
        if self.has_new_messages && !self.is_running() && !waits {
            self.begin(user, writer);
        }
        !self.has_new_messages && !self.is_running()
    }

    /// Erases the messages that arrived since the last erasure. If the stream was made anew, it erases all messages of the user.
    fn begin(&mut self, user: UserId, writer: &StreamWriter) {
        let Some(last) = writer.last_sequence() else { return };
        let from = if last >= self.erased_to { self.erased_to + 1 } else { 1 };
        (self.erased_to, self.has_new_messages, self.retry_at) = (last, false, None);
        if from <= last {
            self.task.spawn(writer.erase(user, from..=last));
        }
    }

    pub(super) fn is_running(&self) -> bool {
        !self.task.is_empty()
    }

    /// Waits for the end of the task. Never returns when none runs.
    pub(super) async fn wait(&mut self) {
        match self.task.join_next().await {
            Some(ended) => self.note(ended.map_err(nats_error).flatten()),
            None => future::pending().await,
        }
    }

    /// Notes that other nodes may have written to the stream.
    pub(super) fn expect_new_messages(&mut self) {
        self.has_new_messages = true;
    }

    fn note(&mut self, erased: Result<u64, OutboxError>) {
        match erased {
            Ok(messages) => {
                self.last_error = None;
                tracing::info!(messages, "events of a deleted user erased from the stream");
            }
            Err(error) => {
                (self.erased_to, self.has_new_messages) = (0, true);
                self.retry_at = Some(Instant::now() + RETRY);
                let error = error.to_string();
                if self.last_error.as_ref() != Some(&error) {
                    tracing::warn!(
                        error,
                        "events of a deleted user were not erased from the stream; it will be retried"
                    );
                }
                self.last_error = Some(error);
            }
        }
    }
}
