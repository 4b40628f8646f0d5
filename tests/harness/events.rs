//! Events as other services receive them: from the in-process bus, and in production from the JetStream stream.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use faceofmind_model::event::PublishedEvent;
use serde_json::Value;
use tokio::{
    sync::{broadcast, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{EventConsumer, TestApp, asyncapi_schema, eventually, wait::DEADLINE};

/// One event, as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceivedEvent {
    /// `faceofmind.v1.<aggregate>.<what>.<user_id>`
    pub(crate) subject: String,
    /// The CloudEvents JSON.
    pub(crate) json: Value,
}

impl ReceivedEvent {
    /// An attribute that is a text.
    #[track_caller]
    pub(crate) fn text_of(&self, attribute: &str) -> &str {
        self.json[attribute].as_str().unwrap_or_else(|| panic!("no {attribute}: {}", self.json))
    }

    /// `user.registered`
    pub(crate) fn name(&self) -> &str {
        self.text_of("type").strip_prefix("faceofmind.v1.").expect("a type of this service")
    }

    pub(crate) fn user_id(&self) -> i64 {
        self.json["data"]["user_id"].as_i64().expect("a user's id")
    }
}

/// The events received from one source by their number there, and where they differ from `docs/asyncapi.yaml`.
#[derive(Clone, Default)]
pub(super) struct EventLog(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    events: BTreeMap<u64, ReceivedEvent>,
    faults: Vec<String>,
}

impl EventLog {
    /// Records an event and validates it. A fault is kept for [`EventLog::events`], since a panic in a task would look
    /// as if no event came.
    pub(super) fn record(&self, number: u64, subject: &str, payload: &[u8]) -> ReceivedEvent {
        let no_json = |_| Value::from(String::from_utf8_lossy(payload));
        let json = serde_json::from_slice(payload).unwrap_or_else(no_json);
        let event = ReceivedEvent { subject: subject.to_owned(), json };
        let mut entries = self.entries();
        entries.faults.extend(asyncapi_schema::violations(subject, &event.json));
        if entries.events.insert(number, event.clone()).is_some_and(|before| before != event) {
            entries.faults.push(format!("event {number} was another one before"));
        }
        event
    }

    pub(super) fn report(&self, fault: String) {
        self.entries().faults.push(fault);
    }

    /// The events received until now, in the order of their source. Panics if one violates its schema.
    #[track_caller]
    pub(super) fn events(&self) -> Vec<ReceivedEvent> {
        let entries = self.entries();
        assert!(entries.faults.is_empty(), "events that differ from docs/asyncapi.yaml: {:#?}", entries.faults);
        entries.events.values().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.entries().events.len()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of one service since its start.
pub(super) struct ServiceEvents {
    local: EventLog,
    /// In production, the events of the JetStream stream.
    stream: Option<EventConsumer>,
    listening: Mutex<Option<JoinHandle<()>>>,
    stopped: watch::Sender<bool>,
}

impl ServiceEvents {
    /// Subscribes to the in-process bus, and to the stream if there is one.
    pub(super) async fn listen(bus: broadcast::Receiver<Arc<PublishedEvent>>, nats: Option<&str>) -> Self {
        let (local, (stopped, is_stopped)) = (EventLog::default(), watch::channel(false));
        let listening = tokio::spawn(record_all(bus, is_stopped, local.clone()));
        let stream = match nats {
            Some(url) => Some(EventConsumer::at(url).await),
            None => None,
        };
        Self { local, stream, listening: Mutex::new(Some(listening)), stopped }
    }

    /// Receives what a service that has stopped left on its bus, and validates every event.
    pub(super) async fn finish(&self) {
        self.stopped.send_replace(true);
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listening) = listening {
            listening.await.expect("every event can be read");
        }
        drop((self.local.events(), self.received()));
    }

    fn received(&self) -> Vec<ReceivedEvent> {
        self.stream.as_ref().map_or_else(|| self.local.events(), EventConsumer::events)
    }
}

impl Drop for ServiceEvents {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take() {
            listening.abort();
        }
    }
}

async fn record_all(
    mut bus: broadcast::Receiver<Arc<PublishedEvent>>,
    mut is_stopped: watch::Receiver<bool>,
    log: EventLog,
) {
    for number in 0.. {
        tokio::select! {
            biased;
            event = bus.recv() => match event {
                Ok(event) => drop(log.record(number, &event.subject, event.envelope.as_bytes())),
                Err(broadcast::error::RecvError::Closed) => return,
                Err(missed) => log.report(format!("the test did not receive every event: {missed}")),
            },
            _ = is_stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}

impl TestApp {
    /// Waits for as many events as there are names, and asserts that these and no others were received, in this order.
    pub(crate) async fn events(&self, names: &[&str]) -> Vec<ReceivedEvent> {
        self.expect_events(names, |_| true).await
    }

    /// The same for the events of one user.
    pub(crate) async fn events_of(&self, user_id: i64, names: &[&str]) -> Vec<ReceivedEvent> {
        self.expect_events(names, move |event| event.user_id() == user_id).await
    }

    async fn expect_events(&self, names: &[&str], belongs: impl Fn(&ReceivedEvent) -> bool) -> Vec<ReceivedEvent> {
        let received = || self.received_events().into_iter().filter(&belongs).collect::<Vec<_>>();
        let all = eventually("the events", async || (received().len() >= names.len()).then_some(()));
        // Ends before the deadline of `eventually`: the comparison below says more than that something did not come.
        drop(timeout(DEADLINE - Duration::from_secs(1), all).await);
        let found = received();
        assert_eq!(found.iter().map(ReceivedEvent::name).collect::<Vec<_>>(), names);
        found
    }

    /// The events received until now.
    pub(crate) fn received_events(&self) -> Vec<ReceivedEvent> {
        self.service_events.received()
    }
}
