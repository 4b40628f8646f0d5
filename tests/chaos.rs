//! Load on a service while nodes and nats-server are killed again and again. A consumer receives one event for each stored
//! change, in order, and no other event.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet, time::Instant};

use crate::harness::{
    EventConsumer, NatsServer, Person, Program, ReceivedEvent, RunningProgram, TestApp, eventually, tests_on_production,
};

/// The load ends when this many changes are acknowledged. Each detection of a batch is a change with a row and an event.
const CHANGES: usize = 20_000;
const CLIENTS: usize = 32;
/// Detections in one request.
const BATCH: usize = 4;

tests_on_production! {
    each_change_is_published_once_while_one_node_and_nats_are_killed,
    each_change_is_published_once_while_two_nodes_and_nats_are_killed,
    a_follower_publishes_within_five_seconds_of_the_leaders_death,
}

async fn each_change_is_published_once_while_one_node_and_nats_are_killed(app: &TestApp) {
    kill_under_load(app, 1).await;
}

async fn each_change_is_published_once_while_two_nodes_and_nats_are_killed(app: &TestApp) {
    kill_under_load(app, 2).await;
}

/// Kills a node five times and nats-server three times, once both together.
async fn kill_under_load(app: &TestApp, count: usize) {
    let people = [app.verified("ada").await, app.verified("bob").await, app.verified("eve").await];
    app.stop().await;
    app.allow_failures();
    let mut nats = NatsServer::start().await;
    let mut nodes = Nodes::start(app, &nats.url(), count).await;
    let consumer = EventConsumer::at(&nats.url()).await;
    let progress = Arc::new(Progress::default());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(run_client(people[number % people.len()].clone(), nodes.address(number), Arc::clone(&progress)));
    }
    let step = CHANGES / 9;
    for round in 1..=7 {
        progress.reaches(step * round).await;
        if round % 2 == 0 {
            nats.kill().await;
            progress.reaches(progress.count() + step / 2).await;
        }
        if round % 2 == 1 || round == 4 {
            nodes.restart_one(round).await;
        }
        if round % 2 == 0 {
            nats.restart().await;
        }
    }
    progress.reaches(CHANGES).await;
    progress.enough.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.expect("every response of a client is as expected");
    }
    app.wait_until_published().await;
    nodes.stop().await;
    // The nodes have stopped, so that nothing is stored after the comparison.
    let mut events = consumer.all_events().await;
    // The new stream also got the events of the registrations, which another server held.
    events.retain(|event| !event.name().starts_with("user."));
    assert_published_once(app, &progress, &events).await;
}

/// The nodes as programs, and their current addresses.
struct Nodes {
    program: Program,
    running: Vec<Option<RunningProgram>>,
    addresses: Vec<Arc<Mutex<SocketAddr>>>,
}

impl Nodes {
    async fn start(app: &TestApp, nats: &str, count: usize) -> Self {
        // A short deduplication window, so that NATS does not hide duplicates.
        let changes = [("NATS_URL", nats), ("EVENTS_DEDUPE_SECONDS", "1"), ("RUST_LOG", "error")];
        let program = Program::in_env(&app.env, &changes);
        let mut nodes = Self { program, running: Vec::new(), addresses: Vec::new() };
        for _ in 0..count {
            let node = nodes.program.serve(&["serve"]).await;
            nodes.addresses.push(Arc::new(Mutex::new(node.address())));
            nodes.running.push(Some(node));
        }
        nodes
    }

    /// The address of the node that the client with this number uses.
    fn address(&self, number: usize) -> Arc<Mutex<SocketAddr>> {
        Arc::clone(&self.addresses[number % self.addresses.len()])
    }

    /// Kills one node and starts it again, each node in turn.
    async fn restart_one(&mut self, number: usize) {
        let number = number / 2 % self.running.len();
        self.running[number].take().expect("the node runs").kill().await;
        let node = self.program.serve(&["serve"]).await;
        *self.addresses[number].lock().unwrap_or_else(PoisonError::into_inner) = node.address();
        self.running[number] = Some(node);
    }

    async fn stop(self) {
        for node in self.running.into_iter().flatten() {
            node.terminate().await;
        }
    }
}

fn current(address: &Mutex<SocketAddr>) -> SocketAddr {
    *address.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The acknowledged changes, in the notation of [`stored_changes`], and the number of requests that were cut off.
#[derive(Default)]
struct Progress {
    acknowledged: Mutex<BTreeSet<String>>,
    cut_off: AtomicUsize,
    enough: AtomicBool,
}

impl Progress {
    fn add(&self, changes: impl IntoIterator<Item = String>) {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).extend(changes);
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    async fn reaches(&self, count: usize) {
        eventually("more changes are acknowledged", async || (self.count() >= count).then_some(())).await;
    }
}

/// Runs one session after another until enough changes are acknowledged. A client that is cut off starts another session,
/// since it does not know whether its change was stored.
async fn run_client(person: Person, address: Arc<Mutex<SocketAddr>>, progress: Arc<Progress>) {
    while !progress.enough.load(Ordering::Relaxed) {
        if run_session(&person, &address, &progress).await.is_none() {
            progress.cut_off.fetch_add(1, Ordering::Relaxed);
            eventually("the node listens", async || TcpStream::connect(current(&address)).await.ok()).await;
        }
    }
}

async fn run_session(person: &Person, address: &Mutex<SocketAddr>, progress: &Progress) -> Option<()> {
    let call = async |method: Method, path: String, body: Value| {
        let response =
            person.using(person.client.at(current(address))).api(method, &path).json(&body).try_send().await?;
        assert!(
            [200, 201, 503].contains(&response.status),
            "{} answered {} {}",
            response.to,
            response.status,
            response.text
        );
        (response.status != 503).then_some(response.json)
    };
    let id = call(Method::POST, "/sessions/".to_owned(), json!({})).await?["id"].clone();
    progress.add([format!("session.started session/{id}")]);
    let detect = async || {
        let batch = Value::from(vec![json!({ "emotion": "happy" }); BATCH]);
        let created = call(Method::POST, format!("/sessions/{id}/detections"), batch).await?;
        let ids = created["ids"].as_array().expect("ids").clone();
        progress.add(ids.into_iter().map(|detection| format!("emotion.detected session/{id} {detection}")));
        Some(())
    };
    for _ in 0..3 {
        let (one, other) = tokio::join!(detect(), detect());
        one.and(other)?;
    }
    call(Method::PATCH, format!("/sessions/{id}/end"), json!({})).await?;
    progress.add([format!("session.ended session/{id}")]);
    Some(())
}

/// Asserts that the stream holds exactly one event for each stored change, in order, and that every acknowledged change is
/// stored.
async fn assert_published_once(app: &TestApp, progress: &Progress, events: &[ReceivedEvent]) {
    let stored = stored_changes(app).await;
    let mut published: Vec<String> = events.iter().map(change_of).collect();
    published.sort_unstable();
    assert_eq!(published.len(), stored.len(), "events and rows");
    assert!(published == stored, "each row has its event");
    let acknowledged = progress.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let lost = acknowledged.iter().find(|change| stored.binary_search(change).is_err());
    assert_eq!(lost, None, "acknowledged and not stored");
    assert!(acknowledged.len() >= CHANGES && progress.cut_off.load(Ordering::Relaxed) > 0, "no request was cut off");
    assert_order(app, events).await;
}

/// Every stored change that has an event, sorted: `session.ended session/7`.
async fn stored_changes(app: &TestApp) -> Vec<String> {
    let mut changes = app.texts("SELECT 'session.started session/' || id FROM sessions").await;
    changes.extend(app.texts("SELECT 'session.ended session/' || id FROM sessions WHERE end_time IS NOT NULL").await);
    let detected = "SELECT 'emotion.detected session/' || session_id || ' ' || id FROM emotion_detections";
    changes.extend(app.texts(detected).await);
    changes.sort_unstable();
    changes
}

fn change_of(event: &ReceivedEvent) -> String {
    let detection = &event.json["data"]["detection_id"];
    let detection = detection.as_i64().map(|id| format!(" {id}")).unwrap_or_default();
    format!("{} {}{detection}", event.name(), event.text_of("subject"))
}

/// Asserts that the events of each session were received in the order of their records: its start first, its end last.
async fn assert_order(app: &TestApp, events: &[ReceivedEvent]) {
    let mut recorded: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in app.recorded_events().await {
        let text = |field: &str| event[field].as_str().expect("a text").to_owned();
        recorded.entry(text("subject")).or_default().push(text("id"));
    }
    let mut sessions: BTreeMap<String, Vec<&ReceivedEvent>> = BTreeMap::new();
    for event in events {
        sessions.entry(event.text_of("subject").to_owned()).or_default().push(event);
    }
    for (session, events) in sessions {
        let ids: Vec<_> = events.iter().map(|event| event.text_of("id")).collect();
        assert_eq!(ids, recorded[&session], "{session}");
        let names: Vec<_> = events.iter().map(|event| event.name()).collect();
        assert_eq!(names[0], "session.started", "{session}");
        let end = names.iter().position(|name| *name == "session.ended");
        assert!(end.is_none_or(|end| end == names.len() - 1), "{session}: {names:?}");
    }
}

async fn a_follower_publishes_within_five_seconds_of_the_leaders_death(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.stop().await;
    let nats = NatsServer::start().await;
    let program = Program::in_env(&app.env, &[("NATS_URL", &nats.url()), ("RUST_LOG", "error")]);
    let leader = program.serve(&["serve"]).await;
    ada.using(ada.client.at(leader.address())).start_session().await;
    app.wait_until_published().await;
    let follower = program.serve(&["serve"]).await;
    leader.kill().await;
    let killed = Instant::now();
    ada.using(ada.client.at(follower.address())).start_session().await;
    app.wait_until_published().await;
    assert!(killed.elapsed() < Duration::from_secs(5), "it took {:?}", killed.elapsed());
    follower.terminate().await;
    let events = EventConsumer::at(&nats.url()).await.all_events().await;
    let started = events.iter().filter(|event| event.name() == "session.started");
    assert_eq!(started.count(), 2);
}
