//! Another service's consumer: it reads the JetStream stream and starts again after every failure.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use async_nats::jetstream::{Context, consumer::pull};
use futures_util::StreamExt;
use tokio::task::AbortHandle;

use super::{
    events::{EventLog, ReceivedEvent},
    eventually,
    test_services::jetstream,
};

/// The stream that other services consume.
pub(super) const STREAM: &str = "FACEOFMIND";

/// A durable consumer. It reads until it is dropped.
pub(crate) struct EventConsumer {
    context: Context,
    log: EventLog,
    consuming: AbortHandle,
}

impl EventConsumer {
    /// Reads the stream at this server from its beginning, once the stream exists.
    pub(crate) async fn at(url: &str) -> Self {
        Self::start(jetstream(url).await)
    }

    /// The same with a connection that the test has made.
    pub(crate) fn start(context: Context) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        // Two consumers with one name would share the messages.
        let name = format!("test-{}", STARTED.fetch_add(1, Ordering::Relaxed));
        let log = EventLog::default();
        let consuming = tokio::spawn(consume_forever(context.clone(), log.clone(), name)).abort_handle();
        Self { context, log, consuming }
    }

    /// The events received until now, in the stream's order. An event that was delivered twice is there once, by its
    /// number in the stream; an event that was stored twice is there twice. Panics if one violates its schema.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<ReceivedEvent> {
        self.log.events()
    }

    /// Waits until every event in the stream is received. Requires that no service publishes any more.
    pub(crate) async fn all_events(&self) -> Vec<ReceivedEvent> {
        eventually("the consumer receives all that is stored", async || {
            let stored = self.context.get_stream(STREAM).await.ok()?.cached_info().state.messages;
            (u64::try_from(self.log.len()) == Ok(stored)).then_some(())
        })
        .await;
        self.events()
    }
}

impl Drop for EventConsumer {
    fn drop(&mut self) {
        self.consuming.abort();
    }
}

async fn consume_forever(context: Context, log: EventLog, name: String) {
    loop {
        drop(consume(&context, &log, &name).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn consume(context: &Context, log: &EventLog, name: &str) -> Result<(), async_nats::Error> {
    let stream = context.get_stream(STREAM).await?;
    let ack_wait = Duration::from_secs(2);
    let durable = pull::Config { durable_name: Some(name.to_owned()), ack_wait, ..pull::Config::default() };
    let consumer = stream.get_or_create_consumer(name, durable).await?;
    loop {
        let mut batch = consumer.batch().max_messages(500).expires(Duration::from_secs(1)).messages().await?;
        while let Some(message) = batch.next().await {
            let message = message?;
            let event = log.record(message.info()?.stream_sequence, &message.subject, &message.payload);
            let id = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id")).map(|id| id.as_str());
            if id != event.json["id"].as_str() {
                log.report(format!("Nats-Msg-Id is {id:?} and not the event's id: {}", event.json));
            }
            message.ack().await?;
        }
    }
}
