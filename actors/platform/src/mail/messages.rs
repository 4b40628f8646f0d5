//! What the mailer can be asked.

use faceofmind_db::StoreError;
use faceofmind_runtime::{AskError, Message};
use tokio::sync::OwnedSemaphorePermit;

use super::{JobCounts, MailJob};

/// Looks for jobs that are due. Tell it after the commit of [`enqueue`](super::enqueue). Without it the job waits for up to a second.
pub struct Poll;

impl Message for Poll {
    type Output = ();
    type Error = AskError;
}

/// Counts the jobs in the queue.
pub struct CountJobs;

impl Message for CountJobs {
    type Output = JobCounts;
    type Error = MailError;
}

/// Why the queue could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Jobs were claimed, each for a slot.
pub(super) struct Claimed(pub(super) Vec<(MailJob, OwnedSemaphorePermit)>);

impl Message for Claimed {
    type Output = ();
    type Error = AskError;
}
