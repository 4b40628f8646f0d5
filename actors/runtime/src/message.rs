//! Typed requests to actors, and how an actor replies to them.

use std::{any::type_name, time::Duration};

use faceofmind_base::WriteGate;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};
use tracing::Span;

use crate::{AskError, metrics::MessageMetrics};

/// The longest that a request waits for its turn. *Why*: beyond it, the caller is soon to give up, and work for it keeps others waiting. So in
/// overload those that are served are served soon, and the others learn soon that nothing was done.
pub const MAX_QUEUED: Duration = Duration::from_secs(1);

/// A request to an actor. The actors that implement [`Handler`](crate::Handler) for it can be asked it.
pub trait Message: Send + 'static {
    /// What a successful reply holds.
    type Output: Send + 'static;
    /// Why the request failed. A request that is not answered fails with an [`AskError`].
    type Error: From<AskError> + Send + 'static;
    /// How long its caller waits at most, where that differs from the handle's deadline.
    const DEADLINE: Option<Duration> = None;

    /// Returns the message's name as spans and metrics show it: the type's name without its path.
    fn name() -> &'static str {
        let path = type_name::<Self>();
        path.rsplit("::").next().unwrap_or(path)
    }
}

/// Implements [`Message`] for types that share an error: one line a message, with its output and, where it differs, its deadline.
///
/// ```
/// # use faceofmind_runtime::{AskError, Message, messages};
/// # use std::time::Duration;
/// struct GetName;
/// struct Rename(String);
///
/// messages! {
///     Error = AskError;
///     GetName => String;
///     Rename => (), within Duration::from_secs(28);
/// }
/// assert_eq!(Rename::DEADLINE, Some(Duration::from_secs(28)));
/// ```
#[macro_export]
macro_rules! messages {
    (Error = $error:ty; $($message:ty => $output:ty $(, within $deadline:expr)?;)+) => {
        $(impl $crate::Message for $message {
            type Output = $output;
            type Error = $error;
            $(const DEADLINE: Option<std::time::Duration> = Some($deadline);)?
        })+
    };
}

/// Replies to one message. It holds the message's place in the mailbox until the reply is sent or dropped.
///
/// Dropped without a reply, as by a panic, it fails the caller's request with [`AskError::Unavailable`] at once.
#[derive(Debug)]
pub struct ReplyTo<M: Message> {
    /// None where no caller waits ([`Handle::tell`](crate::Handle::tell)).
    sender: Option<oneshot::Sender<Result<M::Output, M::Error>>>,
    _permit: Option<OwnedSemaphorePermit>,
    gate: WriteGate,
    span: Span,
    metrics: Option<MessageMetrics>,
    since: Instant,
}

impl<M: Message> ReplyTo<M> {
    pub(crate) fn new(
        sender: Option<oneshot::Sender<Result<M::Output, M::Error>>>,
        permit: Option<OwnedSemaphorePermit>,
        gate: WriteGate,
        span: Span,
        metrics: Option<MessageMetrics>,
    ) -> Self {
        Self { sender, _permit: permit, gate, span, metrics, since: Instant::now() }
    }

    /// Sends the reply. It is dropped when the caller has gone.
    pub fn send(mut self, reply: Result<M::Output, M::Error>) {
        if let Some(sender) = self.sender.take() {
            drop(sender.send(reply));
        }
    }

    /// Whether a caller was waiting and waits no longer.
    pub fn caller_gone(&self) -> bool {
        self.sender.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    /// Waits until the caller waits no longer. Never returns where no caller ever waited.
    pub async fn closed(&mut self) {
        match &mut self.sender {
            Some(sender) => sender.closed().await,
            None => std::future::pending().await,
        }
    }

    /// Decides whether the request writes or is withdrawn. A task of [`TaskSet`](crate::TaskSet) begins to write with its first transaction;
    /// an actor that writes in another way calls [`WriteGate::begin`] before.
    pub fn gate(&self) -> &WriteGate {
        &self.gate
    }

    /// The span of the request. Work that answers it runs in this span; a batch's span follows from it.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Withdraws a request that waited longer than [`MAX_QUEUED`]. Returns whether it did.
    pub(crate) fn withdraw_if_late(&self) -> bool {
        self.sender.is_some() && self.since.elapsed() > MAX_QUEUED && self.gate.withdraw()
    }

    /// Ends the queue time and starts the handling time.
    pub(crate) fn start_handling(&mut self) {
        let queued = self.since.elapsed();
        self.since = Instant::now();
        if let Some(metrics) = &self.metrics {
            metrics.queued(queued);
        }
    }
}

impl<M: Message> Drop for ReplyTo<M> {
    fn drop(&mut self) {
        if let Some(metrics) = &self.metrics {
            metrics.handled(self.since.elapsed());
        }
    }
}
