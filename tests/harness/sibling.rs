//! A sibling service: a durable consumer that reads the stream, and begins again whatever breaks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::jetstream::{Context, consumer::pull};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::task::AbortHandle;

use super::{events::STREAM, servers::jetstream};

/// One message of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The CloudEvents JSON.
    pub(crate) event: Value,
}

impl Message {
    /// An attribute that is a text.
    pub(crate) fn text_of(&self, attribute: &str) -> &str {
        self.event[attribute].as_str().unwrap_or_else(|| panic!("no {attribute}: {}", self.event))
    }

    /// `session.started`
    pub(crate) fn name(&self) -> &str {
        self.text_of("type").trim_start_matches("faceofmind.v1.")
    }
}

type Heard = Arc<Mutex<BTreeMap<u64, Message>>>;

/// A sibling at work, until it is dropped.
pub(crate) struct Sibling {
    heard: Heard,
    listening: AbortHandle,
}

impl Sibling {
    /// Reads the stream at this server from its beginning, as soon as there is one.
    pub(crate) async fn at(url: &str) -> Self {
        let heard = Heard::default();
        let listening = tokio::spawn(listen(jetstream(url).await, Arc::clone(&heard)));
        Self { heard, listening: listening.abort_handle() }
    }

    /// All that was heard until now, in the stream's order. What was delivered again is there once, by its number in the stream; an
    /// event that was stored twice would be there twice.
    pub(crate) fn heard(&self) -> Vec<Message> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(context: Context, heard: Heard) {
    loop {
        drop(consume(&context, &heard).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn consume(context: &Context, heard: &Heard) -> Result<(), async_nats::Error> {
    let stream = context.get_stream(STREAM).await?;
    let ack_wait = Duration::from_secs(2);
    let durable = pull::Config { durable_name: Some("sibling".into()), ack_wait, ..pull::Config::default() };
    let consumer = stream.get_or_create_consumer("sibling", durable).await?;
    loop {
        let mut batch = consumer.batch().max_messages(500).expires(Duration::from_secs(1)).messages().await?;
        while let Some(message) = batch.next().await {
            let message = message?;
            let number = message.info()?.stream_sequence;
            note(heard, number, Message { event: serde_json::from_slice(&message.payload)? });
            message.ack().await?;
        }
    }
}

fn note(heard: &Heard, number: u64, message: Message) {
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    let before = heard.insert(number, message.clone());
    assert!(before.is_none_or(|before| before == message), "the stream has changed at {number}");
}
