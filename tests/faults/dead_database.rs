//! PostgreSQL whose connections fall silent, as when a firewall forgets them or a server is lost, and whose connections break.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use faceofmind_testing::TcpProxy;
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    HEALED,
    harness::{Person, Server, TestApp, TestEnv, tests_on_production},
};

tests_on_production! {
    connections_that_fall_silent_under_load_are_replaced,
    connections_that_break_under_load_are_replaced,
}

const CLIENTS: usize = 16;
/// How long the load goes on before a fault, and how long none of its requests may fail after the fault is healed.
const CALM: Duration = Duration::from_secs(3);

async fn connections_that_fall_silent_under_load_are_replaced(app: &TestApp) {
    under_load(app, async |proxy| proxy.silence()).await;
}

async fn connections_that_break_under_load_are_replaced(app: &TestApp) {
    let break_for_a_while = async |proxy: &TcpProxy| {
        proxy.cut();
        tokio::time::sleep(CALM).await;
        proxy.restore();
    };
    under_load(app, break_for_a_while).await;
}

/// Clients write and read while the fault happens. Within 5 s of its end no request fails any more, and nothing that was acknowledged is lost.
async fn under_load(app: &TestApp, fault: impl AsyncFn(&TcpProxy)) {
    app.stop().await;
    app.allow_failures();
    let server = TestEnv::address_of(Server::Postgres);
    let proxy = TcpProxy::start(&server).await;
    let (_, url) = app.env.environment(&[]).into_iter().find(|(name, _)| name == "DATABASE_URL").expect("a database");
    let node = app.another_node(&[("DATABASE_URL", &url.replace(&server, &proxy.address))]).await;
    let ada = node.verified("ada").await;
    let enough = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(run_client(ada.clone(), Arc::clone(&enough)));
    }
    tokio::time::sleep(CALM).await;
    fault(&proxy).await;
    let ended = Instant::now();
    tokio::time::sleep(HEALED + CALM).await;
    enough.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    let mut last_failure = None;
    while let Some(client) = clients.join_next().await {
        let (sessions, failed) = client.expect("no panic");
        written.extend(sessions);
        last_failure = last_failure.max(failed);
    }
    let healed = last_failure.expect("the fault is felt").saturating_duration_since(ended);
    assert!(healed < HEALED, "a request failed {healed:?} after the end of the fault");
    let stored = app.texts("SELECT CAST(id AS text) FROM sessions").await;
    written.retain(|session| !stored.contains(session));
    assert!(written.is_empty(), "acknowledged and lost: {written:?}");
    node.stop().await;
}

/// Starts sessions and lists them. Returns the ids of those that were acknowledged, and when a request last failed.
async fn run_client(person: Person, enough: Arc<AtomicBool>) -> (Vec<String>, Option<Instant>) {
    let (mut sessions, mut last_failure) = (Vec::new(), None);
    while !enough.load(Ordering::Relaxed) {
        let started = person.post("/sessions/", json!({})).await;
        let listed = person.get("/sessions/?limit=1").await;
        sessions.extend(started.json["id"].as_i64().map(|id| id.to_string()));
        if started.status != 201 || listed.status != 200 {
            last_failure = Some(Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (sessions, last_failure)
}
