//! Why an actor did not answer, through no fault of the caller.

/// A request that was not answered. It may be sent again. Each variant names the actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The actor's mailbox or queue is full.
    #[error("{0} is busy: its queue is full")]
    Busy(&'static str),
    /// The actor is restarting or has stopped, or it died before it replied.
    #[error("{0} is not running")]
    Unavailable(&'static str),
    /// The reply did not come before the deadline.
    #[error("{0} did not answer in time")]
    TimedOut(&'static str),
}
