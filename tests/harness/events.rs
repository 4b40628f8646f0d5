//! Events as a sibling service hears them: from a consumer on the JetStream stream, or from the in-process bus.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_nats::jetstream::consumer::pull::OrderedConfig;
use faceofmind_actors::publisher::PublishedEvent;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::{
    sync::{broadcast, watch},
    task::{AbortHandle, JoinHandle},
    time::timeout,
};

use super::{TestApp, asyncapi_schema, eventually, test_env::TestEnv, test_services::jetstream, wait::DEADLINE};

/// The stream that siblings consume.
pub(crate) const STREAM: &str = "FACEOFMIND";

/// One event, as it was heard.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// `faceofmind.v1.<aggregate>.<what>.<user_id>`
    pub(crate) subject: String,
    /// The CloudEvents JSON.
    pub(crate) json: Value,
}

impl Heard {
    /// Every event of every story is held against the AsyncAPI document; what does not agree is told at the story's end.
    fn new(subject: &str, envelope: &[u8], env: &TestEnv) -> Self {
        let json = serde_json::from_slice(envelope).expect("only JSON goes on faceofmind.>");
        env.record_schema_violations(asyncapi_schema::violations(subject, &json));
        Self { subject: subject.to_owned(), json }
    }

    /// `user.registered`
    pub(crate) fn name(&self) -> &str {
        let kind = self.json["type"].as_str().expect("a type");
        kind.strip_prefix("faceofmind.v1.").expect("a type of ours")
    }

    /// Whom it is about.
    pub(crate) fn user_id(&self) -> i64 {
        self.json["data"]["user_id"].as_i64().expect("a user's id")
    }
}

type All = Arc<Mutex<Vec<Heard>>>;

/// All that was heard since the service started.
pub(crate) struct Bus {
    env: Arc<TestEnv>,
    local: All,
    stream: OnceLock<(All, AbortHandle)>,
    listening: Mutex<Option<JoinHandle<()>>>,
    over: watch::Sender<bool>,
}

impl Bus {
    /// Listens to the in-process bus from now on.
    pub(super) fn listen(bus: broadcast::Receiver<Arc<PublishedEvent>>, env: Arc<TestEnv>) -> Self {
        let (local, (over, is_over)) = (All::default(), watch::channel(false));
        let listening = tokio::spawn(note_local(bus, is_over, Arc::clone(&local), Arc::clone(&env)));
        Self { env, local, stream: OnceLock::new(), listening: Mutex::new(Some(listening)), over }
    }

    /// Hears the rest of a service that has stopped.
    pub(super) async fn finish(&self) {
        self.over.send_replace(true);
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listening) = listening {
            listening.await.expect("every event can be read");
        }
    }

    /// What the stream holds, from its beginning; consumed from the first call on.
    fn of_stream(&self, url: &str) -> &All {
        let begin = || {
            let heard = All::default();
            let consuming = tokio::spawn(note_stream(url.to_owned(), Arc::clone(&heard), Arc::clone(&self.env)));
            (heard, consuming.abort_handle())
        };
        &self.stream.get_or_init(begin).0
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take() {
            listening.abort();
        }
        if let Some((_, consuming)) = self.stream.get() {
            consuming.abort();
        }
    }
}

async fn note_local(
    mut bus: broadcast::Receiver<Arc<PublishedEvent>>,
    mut is_over: watch::Receiver<bool>,
    heard: All,
    env: Arc<TestEnv>,
) {
    let note = |event: &PublishedEvent| push(&heard, Heard::new(&event.subject, event.envelope.as_bytes(), &env));
    loop {
        tokio::select! {
            biased;
            event = bus.recv() => match event {
                Ok(event) => note(&event),
                Err(broadcast::error::RecvError::Closed) => return,
                Err(missed) => env.record_schema_violations(vec![format!("the story did not hear every event: {missed}")]),
            },
            _ = is_over.wait_for(|over| *over) => return,
        }
    }
}

async fn note_stream(url: String, heard: All, env: Arc<TestEnv>) {
    let context = jetstream(&url).await;
    let stream = eventually("the stream", async || context.get_stream(STREAM).await.ok()).await;
    let consumer = stream.create_consumer(OrderedConfig::default()).await.expect("a consumer");
    let mut messages = consumer.messages().await.expect("messages");
    while let Some(Ok(message)) = messages.next().await {
        let id = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
        let event = Heard::new(&message.subject, &message.payload, &env);
        assert_eq!(id.map(|id| id.as_str()), event.json["id"].as_str(), "Nats-Msg-Id is the event's id");
        push(&heard, event);
    }
}

fn push(heard: &All, event: Heard) {
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(event);
}

impl TestApp {
    /// Waits for as many events as there are names, looks that they are these in this order and no others, and gives them.
    pub(crate) async fn events(&self, names: &[&str]) -> Vec<Heard> {
        self.expect_events(names, |_| true).await
    }

    /// The same among the events of one user.
    pub(crate) async fn events_of(&self, user_id: i64, names: &[&str]) -> Vec<Heard> {
        self.expect_events(names, move |event| event.user_id() == user_id).await
    }

    async fn expect_events(&self, names: &[&str], belongs: impl Fn(&Heard) -> bool) -> Vec<Heard> {
        let heard = || self.heard().into_iter().filter(&belongs).collect::<Vec<_>>();
        let all = eventually("the events", async || (heard().len() >= names.len()).then_some(()));
        // Not waiting in vain: what was heard tells more than that something was not.
        drop(timeout(DEADLINE / 2, all).await);
        let found = heard();
        assert_eq!(found.iter().map(Heard::name).collect::<Vec<_>>(), names);
        found
    }

    /// All that was heard until now.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        let all = self.env.nats().map_or(&self.bus.local, |url| self.bus.of_stream(url));
        all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
