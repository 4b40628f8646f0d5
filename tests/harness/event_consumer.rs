//! A sibling service: a durable consumer that reads the stream, and begins again whatever breaks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::jetstream::{Context, consumer::pull};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::task::AbortHandle;

use super::{asyncapi_schema, events::STREAM, eventually, test_services::jetstream};

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

/// What was heard, by its number in the stream, and what was wrong with it.
#[derive(Default)]
struct Notes {
    messages: BTreeMap<u64, Message>,
    faults: Vec<String>,
}

type Heard = Arc<Mutex<Notes>>;

/// A sibling at work, until it is dropped.
pub(crate) struct EventConsumer {
    context: Context,
    heard: Heard,
    listening: AbortHandle,
}

impl EventConsumer {
    /// Reads the stream at this server from its beginning, as soon as there is one.
    pub(crate) async fn at(url: &str) -> Self {
        Self::of(jetstream(url).await)
    }

    /// The same where the story has let it in.
    pub(crate) fn of(context: Context) -> Self {
        let heard = Heard::default();
        let listening = tokio::spawn(listen(context.clone(), Arc::clone(&heard)));
        Self { context, heard, listening: listening.abort_handle() }
    }

    /// All that was heard until now, in the stream's order, which must be as documented. What was delivered again is there once, by its
    /// number in the stream; an event that was stored twice would be there twice.
    pub(crate) fn heard(&self) -> Vec<Message> {
        let heard = notes(&self.heard);
        assert!(heard.faults.is_empty(), "events that are not as docs/asyncapi.yaml says: {:#?}", heard.faults);
        heard.messages.values().cloned().collect()
    }

    /// The same as soon as it is all that the stream holds, for when nobody publishes any more.
    pub(crate) async fn heard_all(&self) -> Vec<Message> {
        eventually("the sibling to hear all that is stored", async || {
            let stored = self.context.get_stream(STREAM).await.ok()?.cached_info().state.messages;
            let heard = notes(&self.heard).messages.len();
            (u64::try_from(heard) == Ok(stored)).then_some(())
        })
        .await;
        self.heard()
    }
}

fn notes(heard: &Heard) -> MutexGuard<'_, Notes> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for EventConsumer {
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
            note(heard, number, &message.subject, &message.payload);
            message.ack().await?;
        }
    }
}

/// A fault is kept for [`Sibling::heard`]: a panic here would only look as if nothing came.
fn note(heard: &Heard, number: u64, subject: &str, payload: &[u8]) {
    let no_json = |_| Value::from(String::from_utf8_lossy(payload));
    let message = Message { event: serde_json::from_slice(payload).unwrap_or_else(no_json) };
    let faults = asyncapi_schema::violations(subject, &message.event);
    let mut heard = notes(heard);
    heard.faults.extend(faults);
    if heard.messages.insert(number, message.clone()).is_some_and(|before| before != message) {
        heard.faults.push(format!("the stream has changed at {number}"));
    }
}
