//! A stream of server-sent events, as a client reads it.

use serde_json::Value;
use tokio::time::timeout;

use super::{TestApp, eventually, wait::DEADLINE};

/// An open event stream.
pub(crate) struct EventStream {
    pub(crate) status: u16,
    response: reqwest::Response,
    unread: String,
    /// The last id received, to resume from.
    pub(crate) last_id: String,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) event: String,
    pub(crate) data: Value,
    pub(crate) id: String,
}

impl EventStream {
    pub(super) fn new(response: reqwest::Response) -> Self {
        Self { status: response.status().as_u16(), response, unread: String::new(), last_id: String::new() }
    }

    /// The next event; `None` at the end of the stream. Heartbeats are skipped.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((block, rest)) = self.unread.split_once("\n\n") {
                let (frame, rest) = (self.parse(block), rest.to_owned());
                self.unread = rest;
                self.last_id.clone_from(&frame.id);
                if !frame.event.is_empty() {
                    return Some(frame);
                }
            } else {
                let chunk = self.chunk().await?;
                self.unread += &chunk;
            }
        }
    }

    /// Reads one event for each name and asserts that the events have these names, in this order.
    #[track_caller]
    pub(crate) fn expect_events<'a>(&'a mut self, names: &'a [&'a str]) -> impl Future<Output = Vec<Frame>> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let mut frames = Vec::new();
            for name in names {
                let frame = self.next().await.unwrap_or_else(|| panic!("{caller}: the stream ended before {name}"));
                assert_eq!(frame.event, format!("faceofmind.v1.{name}"), "{caller}");
                assert_eq!(frame.data["type"], frame.event, "{caller}");
                frames.push(frame);
            }
            frames
        }
    }

    /// Skips what is still to come until the stream ends.
    pub(crate) async fn expect_end(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Reads until the first heartbeat. From there on the client receives every new event.
    pub(crate) async fn wait_until_open(mut self) -> Self {
        assert_eq!(self.status, 200);
        while !self.unread.contains("\n\n") {
            let chunk = self.chunk().await.expect("the stream stays open");
            self.unread += &chunk;
        }
        self
    }

    async fn chunk(&mut self) -> Option<String> {
        let chunk = timeout(DEADLINE, self.response.chunk()).await.expect("the stream sends something or ends");
        chunk.expect("no error").map(|bytes| String::from_utf8(bytes.into()).expect("UTF-8"))
    }

    fn parse(&self, block: &str) -> Frame {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let data = field("data").map_or(Value::Null, |data| serde_json::from_str(data).expect("JSON"));
        let id = field("id").unwrap_or(&self.last_id).to_owned();
        Frame { event: field("event").unwrap_or_default().to_owned(), data, id }
    }
}

impl TestApp {
    /// Waits until every recorded event is published, so that a stream opened now begins with what happens next.
    pub(crate) async fn wait_until_published(&self) {
        eventually("all events are published", async || {
            (self.number("SELECT count(*) FROM events WHERE position IS NULL").await == 0).then_some(())
        })
        .await;
    }

    /// Returns the events that the outbox holds, in their order. A row may hold several, a line each.
    pub(crate) async fn recorded_events(&self) -> Vec<Value> {
        let rows = self.texts("SELECT envelope FROM events ORDER BY seq").await;
        let events = rows.iter().flat_map(|envelopes| envelopes.lines());
        events.map(|envelope| serde_json::from_str(envelope).expect("JSON")).collect()
    }
}
