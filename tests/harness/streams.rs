//! An event stream as a reader sees it.

use serde_json::Value;
use tokio::time::timeout;

use super::{TestApp, eventually, wait::DEADLINE};

/// An open event stream.
pub(crate) struct Stream {
    pub(crate) status: u16,
    response: reqwest::Response,
    unread: String,
    /// The last id that was asyncapi_schema, to resume by.
    pub(crate) last: String,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) event: String,
    pub(crate) data: Value,
    pub(crate) id: String,
}

impl Stream {
    pub(super) fn new(response: reqwest::Response) -> Self {
        Self { status: response.status().as_u16(), response, unread: String::new(), last: String::new() }
    }

    /// The next event; `None` at the end of the stream. Signs of life are passed over.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((block, rest)) = self.unread.split_once("\n\n") {
                let (frame, rest) = (self.read(block), rest.to_owned());
                self.unread = rest;
                self.last.clone_from(&frame.id);
                if !frame.event.is_empty() {
                    return Some(frame);
                }
            } else {
                let chunk = timeout(DEADLINE, self.response.chunk()).await.expect("the stream goes on or ends");
                self.unread += std::str::from_utf8(&chunk.expect("no error")?).expect("UTF-8");
            }
        }
    }

    /// As many events as these, which they must be.
    #[track_caller]
    pub(crate) fn names<'a>(&'a mut self, names: &'a [&'a str]) -> impl Future<Output = Vec<Frame>> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let mut frames = Vec::new();
            for name in names {
                let frame = self.next().await.unwrap_or_else(|| panic!("{caller}: it ended before {name}"));
                assert_eq!(frame.event, format!("faceofmind.v1.{name}"), "{caller}");
                assert_eq!(frame.data["type"], frame.event, "{caller}");
                frames.push(frame);
            }
            frames
        }
    }

    /// Reads until the first sign of life: from here on the reader is told of what happens.
    pub(crate) async fn opened(mut self) -> Self {
        assert_eq!(self.status, 200);
        while !self.unread.contains("\n\n") {
            let chunk = timeout(DEADLINE, self.response.chunk()).await.expect("it says something").expect("no error");
            self.unread += std::str::from_utf8(&chunk.expect("no end")).expect("UTF-8");
        }
        self
    }

    fn read(&self, block: &str) -> Frame {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let data = field("data").map_or(Value::Null, |data| serde_json::from_str(data).expect("JSON"));
        let id = field("id").unwrap_or(&self.last).to_owned();
        Frame { event: field("event").unwrap_or_default().to_owned(), data, id }
    }
}

impl TestApp {
    /// Waits until all that has happened is published, so that a stream from now on begins with what happens next.
    pub(crate) async fn wait_until_published(&self) {
        eventually("all to be published", async || {
            (self.number("SELECT count(*) FROM events WHERE position IS NULL").await == 0).then_some(())
        })
        .await;
    }
}
