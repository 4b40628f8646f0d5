//! Why an actor did not answer, through no fault of the caller.

/// A request that was not answered. Each variant names the actor. Nothing was written, but with [`OutcomeUnknown`](Self::OutcomeUnknown).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The actor's mailbox or queue is full.
    #[error("{0} is busy: its queue is full")]
    Busy(&'static str),
    /// The queue is full, and this caller has more in it than others: the others go first.
    #[error("{0} is busy with the requests of this caller")]
    OverShare(&'static str),
    /// The actor is restarting or has stopped, or it died before it replied.
    #[error("{0} is not running")]
    Unavailable(&'static str),
    /// The reply did not come before the deadline, and the request was withdrawn before it wrote anything.
    #[error("{0} did not answer in time")]
    TimedOut(&'static str),
    /// The write had begun, and its end was not reported: it may have been done.
    #[error("{0} did not report whether it wrote")]
    OutcomeUnknown(&'static str),
}
