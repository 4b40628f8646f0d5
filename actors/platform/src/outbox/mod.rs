//! The outbox and its publisher: each event is stored with the change that it reports, and published once and in order.
//!
//! A module records an event in its own transaction, commits, and wakes the publisher:
//!
//! ```text
//! let event = SessionEvent::Ended { user_id, session_id, end_time };
//! outbox::record(&mut tx, &event.into_cloud_event(context, now, &rng)).await?;
//! tx.commit().await?;
//! publisher.tell(Wake);
//! ```
//!
//! One node is the leader, by a lease. It publishes pending events to JetStream, assigns positions to those that were
//! acknowledged, and puts them on its [`EventBus`]. The other nodes read the positions and fill their own buses. The nodes signal one
//! another over NATS, and each polls (`poll_interval`).

use std::time::Duration;

use faceofmind_base::Backoff;

mod actor;
mod bus;
mod error;
mod feed;
mod leadership;
mod messages;
mod peer_signal;
mod publish_loop;
mod refill;
mod relay;
mod store;
mod stream;
mod stream_erasure;
mod stream_sender;
mod subject_pattern;
mod tail;

pub use actor::{Deps, LastPublished, Publisher, Status};
pub use bus::EventBus;
pub use error::OutboxError;
pub use feed::{Feed, FeedError, FeedItem};
pub use messages::Wake;
pub use relay::Role;
pub use store::{
    Backlog, erase, record, record_many,
    refill::{EventGap, accept_gaps},
};
pub use stream::{NAME as STREAM, ROW as ROW_HEADER, StreamSettings};
pub use subject_pattern::SubjectPattern;
pub use tail::EventTail;

/// How events are published, kept and streamed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The stream, and how it is written.
    pub stream: StreamSettings,
    /// How often the publisher looks for events without a signal.
    pub poll_interval: Duration,
    /// How long a leader may be silent. Another node takes over at most a `poll_interval` later.
    pub lease: Duration,
    /// How long a published event stays in the outbox, with NATS at least as long as in the stream. Feeds resume within this time.
    pub retention: Duration,
    /// How often expired events are deleted.
    pub sweep_interval: Duration,
    /// How many events a subscriber of the bus may lag behind before it misses some. A pass publishes up to 4,127 at once.
    pub bus_capacity: usize,
    /// The most feeds of this node.
    pub max_feeds: usize,
    /// The most feeds of one user on this node.
    pub max_feeds_per_user: usize,
    /// The delay after a failure.
    pub backoff: Backoff,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stream: StreamSettings::default(),
            poll_interval: Duration::from_secs(1),
            lease: Duration::from_secs(3),
            retention: Duration::from_secs(24 * 3600),
            sweep_interval: Duration::from_secs(60),
            bus_capacity: 8192,
            max_feeds: 1000,
            max_feeds_per_user: 8,
            backoff: Backoff { initial: Duration::from_millis(50), max: Duration::from_secs(5) },
        }
    }
}

/// The most events that a pass sends, with a few more of the last row.
const MAX_PAGE: usize = 4096;
/// How many windows of messages a pass sends. What a pass costs is shared by all of its events.
const WINDOWS: usize = 4;

impl Settings {
    /// How many events a pass of the publisher sends.
    fn page(&self) -> usize {
        (self.stream.window * WINDOWS).min(MAX_PAGE)
    }
}

#[cfg(test)]
mod tests;
