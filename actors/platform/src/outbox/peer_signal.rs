//! Signals between the publishers of several nodes over core NATS, so that none waits for its next poll. A lost signal costs the time until
//! that poll, and nothing else.

use std::{sync::Arc, time::Duration};

use faceofmind_runtime::TaskSet;
use futures_util::StreamExt as _;
use tokio::sync::Notify;

use crate::nats::NatsConnection;

const SUBJECT: &str = "fom.internal.outbox";
/// The time between two signals, so that a busy node sends at most 100 a second.
const SPACING: Duration = Duration::from_millis(10);
/// The delay before a new attempt to subscribe.
const RETRY_DELAY: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// A follower has recorded events, for the leader to publish.
    Recorded,
    /// The leader has published events, for the followers' buses.
    Published,
}

impl Signal {
    const ALL: [Self; 2] = [Self::Recorded, Self::Published];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Published => "published",
        }
    }

    fn parse(payload: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.as_str().as_bytes() == payload)
    }
}

/// Signals that wait. Several of one kind are one.
#[derive(Debug, Default)]
struct Pending {
    recorded: Notify,
    published: Notify,
}

impl Pending {
    fn add(&self, signal: Signal) {
        match signal {
            Signal::Recorded => self.recorded.notify_one(),
            Signal::Published => self.published.notify_one(),
        }
    }

    async fn next(&self) -> Signal {
        tokio::select! {
            () = self.recorded.notified() => Signal::Recorded,
            () = self.published.notified() => Signal::Published,
        }
    }
}

/// The signals of this node and of the others.
#[derive(Debug, Default)]
pub(super) struct PeerSignals {
    outgoing: Arc<Pending>,
    incoming: Arc<Pending>,
}

impl PeerSignals {
    /// Sends and receives on `tasks`. Without NATS nothing is sent or received.
    pub(super) fn start(nats: Option<&NatsConnection>, tasks: &mut TaskSet) -> Self {
        let signals = Self::default();
        if let Some(nats) = nats {
            tasks.spawn(publish(nats.clone(), Arc::clone(&signals.outgoing)));
            tasks.spawn(listen(nats.clone(), Arc::clone(&signals.incoming)));
        }
        signals
    }

    pub(super) fn send(&self, signal: Signal) {
        self.outgoing.add(signal);
    }

    /// Waits for a signal, which may be this node's own.
    pub(super) async fn received(&self) -> Signal {
        self.incoming.next().await
    }
}

async fn publish(nats: NatsConnection, outgoing: Arc<Pending>) {
    loop {
        let signal = outgoing.next().await;
        // A disconnected client would send the signal when it reconnects. By then every node has polled.
        if nats.state().is_connected()
            && let Err(error) = nats.client().publish(SUBJECT, signal.as_str().into()).await
        {
            tracing::debug!(%error, "other publishers were not signalled; they poll");
        }
        tokio::time::sleep(SPACING).await;
    }
}

/// The client repeats the subscription when it reconnects.
async fn listen(nats: NatsConnection, incoming: Arc<Pending>) {
    loop {
        match nats.client().subscribe(SUBJECT).await {
            Ok(mut messages) => {
                while let Some(message) = messages.next().await {
                    if let Some(signal) = Signal::parse(&message.payload) {
                        incoming.add(signal);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "subscribing to signals of other publishers failed; it will be retried")
            }
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
}
