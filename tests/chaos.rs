//! Under load, with nats-server and the service killed again and again: a sibling hears of each change once, in order, and of nothing
//! that did not happen.

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
    EventConsumer, Message, NatsServer, Person, Program, Serving, TestApp, eventually, tests_on_production,
};

/// So many changes are acknowledged. A batch of detections is as many changes: each has its row and its event.
const CHANGES: usize = 20_000;
const CLIENTS: usize = 32;
/// Detections in one call.
const AT_ONCE: usize = 4;

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

/// Five times a node dies, three times nats-server, once both.
async fn kill_under_load(app: &TestApp, count: usize) {
    let people = [app.verified("ada").await, app.verified("bob").await, app.verified("eve").await];
    app.stop().await;
    app.allow_failures();
    let mut nats = NatsServer::start().await;
    let mut nodes = Nodes::start(app, &nats.url(), count).await;
    let consumer = EventConsumer::at(&nats.url()).await;
    let tally = Arc::new(Tally::default());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(people[number % people.len()].clone(), nodes.address(number), Arc::clone(&tally)));
    }
    let part = CHANGES / 9;
    for strike in 1..=7 {
        tally.reaches(part * strike).await;
        if strike % 2 == 0 {
            nats.kill().await;
            tally.reaches(tally.count() + part / 2).await;
        }
        if strike % 2 == 1 || strike == 4 {
            nodes.kill_and_start(strike).await;
        }
        if strike % 2 == 0 {
            nats.start_again().await;
        }
    }
    tally.reaches(CHANGES).await;
    tally.enough.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client that was answered as it should be");
    }
    app.wait_until_published().await;
    nodes.stop().await;
    // Only now can nothing be stored after what is compared.
    is_true(app, &tally, &consumer.heard_all().await).await;
}

/// The nodes as programs, and where each is now.
struct Nodes {
    program: Program,
    running: Vec<Option<Serving>>,
    addresses: Vec<Arc<Mutex<SocketAddr>>>,
}

impl Nodes {
    async fn start(app: &TestApp, nats: &str, count: usize) -> Self {
        // The server's memory for ids is so short that it hides nothing.
        let changes = [("NATS_URL", nats), ("EVENTS_DEDUPE_SECONDS", "1"), ("RUST_LOG", "error")];
        let program = Program::node(&app.env, &changes);
        let mut nodes = Self { program, running: Vec::new(), addresses: Vec::new() };
        for _ in 0..count {
            let node = nodes.program.serve(&["serve"]).await;
            nodes.addresses.push(Arc::new(Mutex::new(node.address())));
            nodes.running.push(Some(node));
        }
        nodes
    }

    /// Where the client of that number finds its node.
    fn address(&self, number: usize) -> Arc<Mutex<SocketAddr>> {
        Arc::clone(&self.addresses[number % self.addresses.len()])
    }

    /// Each in turn.
    async fn kill_and_start(&mut self, number: usize) {
        let number = number / 2 % self.running.len();
        self.running[number].take().expect("it runs").kill().await;
        let node = self.program.serve(&["serve"]).await;
        *self.addresses[number].lock().unwrap_or_else(PoisonError::into_inner) = node.address();
        self.running[number] = Some(node);
    }

    async fn stop(self) {
        for node in self.running.into_iter().flatten() {
            node.terminate().await;
            assert_eq!(node.ended().await.code, Some(0));
        }
    }
}

fn now_at(address: &Mutex<SocketAddr>) -> SocketAddr {
    *address.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was acknowledged, in the words of [`told`] and [`kept`].
#[derive(Default)]
struct Tally {
    acknowledged: Mutex<BTreeSet<String>>,
    cut_off: AtomicUsize,
    enough: AtomicBool,
}

impl Tally {
    fn add(&self, changes: impl IntoIterator<Item = String>) {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).extend(changes);
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    async fn reaches(&self, count: usize) {
        eventually("more changes", async || (self.count() >= count).then_some(())).await;
    }
}

/// One session after another, until there were enough. Who is cut off begins another: whether the change was made, they do not know.
async fn client(person: Person, address: Arc<Mutex<SocketAddr>>, tally: Arc<Tally>) {
    while !tally.enough.load(Ordering::Relaxed) {
        if session(&person, &address, &tally).await.is_none() {
            tally.cut_off.fetch_add(1, Ordering::Relaxed);
            eventually("the node to listen", async || TcpStream::connect(now_at(&address)).await.ok()).await;
        }
    }
}

async fn session(person: &Person, address: &Mutex<SocketAddr>, tally: &Tally) -> Option<()> {
    let call = async |method: Method, path: String, body: Value| {
        let response =
            person.using(person.client.at(now_at(address))).api(method, &path).json(&body).try_send().await?;
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
    tally.add([format!("session.started session/{id}")]);
    let felt = async || {
        let batch = Value::from(vec![json!({ "emotion": "happy" }); AT_ONCE]);
        let made = call(Method::POST, format!("/sessions/{id}/detections"), batch).await?;
        let made = made["ids"].as_array().expect("ids").clone();
        tally.add(made.into_iter().map(|made| format!("emotion.detected session/{id} {made}")));
        Some(())
    };
    for _ in 0..3 {
        let (one, other) = tokio::join!(felt(), felt());
        one.and(other)?;
    }
    call(Method::PATCH, format!("/sessions/{id}/end"), json!({})).await?;
    tally.add([format!("session.ended session/{id}")]);
    Some(())
}

/// What the sibling heard is what is kept, each once and in order; and what was acknowledged is kept.
async fn is_true(app: &TestApp, tally: &Tally, heard: &[Message]) {
    let kept = kept(app).await;
    let mut told: Vec<String> = heard.iter().map(told).collect();
    told.sort_unstable();
    assert_eq!(told.len(), kept.len(), "events and rows");
    assert!(told == kept, "each row has its event");
    let acknowledged = tally.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let lost = acknowledged.iter().find(|change| kept.binary_search(change).is_err());
    assert_eq!(lost, None, "acknowledged, and not kept");
    assert!(acknowledged.len() >= CHANGES && tally.cut_off.load(Ordering::Relaxed) > 0, "there was a storm");
    are_in_order(app, heard).await;
}

/// Every row of which an event tells, sorted.
async fn kept(app: &TestApp) -> Vec<String> {
    let mut kept = app.texts("SELECT 'session.started session/' || id FROM sessions").await;
    kept.extend(app.texts("SELECT 'session.ended session/' || id FROM sessions WHERE end_time IS NOT NULL").await);
    let detected = "SELECT 'emotion.detected session/' || session_id || ' ' || id FROM emotion_detections";
    kept.extend(app.texts(detected).await);
    kept.sort_unstable();
    kept
}

fn told(message: &Message) -> String {
    let detection = &message.event["data"]["detection_id"];
    let detection = detection.as_i64().map(|id| format!(" {id}")).unwrap_or_default();
    format!("{} {}{detection}", message.name(), message.text_of("subject"))
}

/// The events of each session are heard in the order in which they were recorded: its start first, its end last.
async fn are_in_order(app: &TestApp, heard: &[Message]) {
    let mut recorded: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in
        app.texts("SELECT aggregate || ' ' || id FROM events WHERE aggregate LIKE 'session/%' ORDER BY seq").await
    {
        let (session, id) = row.split_once(' ').expect("two words");
        recorded.entry(session.to_owned()).or_default().push(id.to_owned());
    }
    let mut sessions: BTreeMap<String, Vec<&Message>> = BTreeMap::new();
    for message in heard {
        sessions.entry(message.text_of("subject").to_owned()).or_default().push(message);
    }
    for (session, messages) in sessions {
        let ids: Vec<_> = messages.iter().map(|message| message.text_of("id")).collect();
        assert_eq!(ids, recorded[&session], "{session}");
        let names: Vec<_> = messages.iter().map(|message| message.name()).collect();
        assert_eq!(names[0], "session.started", "{session}");
        let end = names.iter().position(|name| *name == "session.ended");
        assert!(end.is_none_or(|end| end == names.len() - 1), "{session}: {names:?}");
    }
}

async fn a_follower_publishes_within_five_seconds_of_the_leaders_death(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.stop().await;
    let nats = NatsServer::start().await;
    let program = Program::node(&app.env, &[("NATS_URL", &nats.url()), ("RUST_LOG", "error")]);
    let leader = program.serve(&["serve"]).await;
    ada.using(ada.client.at(leader.address())).start_session().await;
    app.wait_until_published().await;
    let follower = program.serve(&["serve"]).await;
    leader.kill().await;
    let died = Instant::now();
    ada.using(ada.client.at(follower.address())).start_session().await;
    app.wait_until_published().await;
    assert!(died.elapsed() < Duration::from_secs(5), "it took {:?}", died.elapsed());
    follower.terminate().await;
    assert_eq!(follower.ended().await.code, Some(0));
    let heard = EventConsumer::at(&nats.url()).await.heard_all().await;
    assert_eq!(heard.iter().map(Message::name).collect::<Vec<_>>(), ["session.started"; 2]);
}
