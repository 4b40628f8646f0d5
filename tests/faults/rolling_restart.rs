//! Three nodes behind a proxy, each stopped and started again in its turn while clients call.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    harness::{Person, Program, RunningProgram, TestApp, eventually, nats_server::free_port, tests_on_production},
    reverse_proxy::{Kind, ReverseProxy},
};

tests_on_production! {
    a_rolling_restart_behind_nginx_loses_no_request,
    a_rolling_restart_behind_haproxy_loses_no_request,
    a_cut_export_ends_incomplete_behind_nginx,
    a_cut_export_ends_incomplete_behind_nginx_that_speaks_http_1_0,
    a_cut_export_ends_incomplete_behind_haproxy,
}

const CLIENTS: usize = 16;
/// What each node answers at least before the next one is stopped, and after the last one is back.
const REQUESTS: usize = 400;

async fn a_rolling_restart_behind_nginx_loses_no_request(app: &TestApp) {
    restart_under_load(app, Kind::Nginx).await;
}

async fn a_rolling_restart_behind_haproxy_loses_no_request(app: &TestApp) {
    restart_under_load(app, Kind::Haproxy).await;
}

async fn a_cut_export_ends_incomplete_behind_nginx(app: &TestApp) {
    cut_export(app, Kind::Nginx).await;
}

async fn a_cut_export_ends_incomplete_behind_nginx_that_speaks_http_1_0(app: &TestApp) {
    cut_export(app, Kind::NginxHttp10).await;
}

async fn a_cut_export_ends_incomplete_behind_haproxy(app: &TestApp) {
    cut_export(app, Kind::Haproxy).await;
}

/// Three nodes as programs, and the proxy before them.
struct Nodes {
    programs: [Program; 3],
    running: [Option<RunningProgram>; 3],
    proxy: ReverseProxy,
}

impl Nodes {
    async fn start(app: &TestApp, kind: Kind) -> Self {
        let ports = [free_port(), free_port(), free_port()];
        let programs = ports.map(|port| {
            let port = port.to_string();
            // As in production.
            Program::in_env(&app.env, &[("PORT", &port), ("DRAIN_SECONDS", "5"), ("RUST_LOG", "error")])
        });
        let mut running = [None, None, None];
        for (program, node) in programs.iter().zip(&mut running) {
            *node = Some(program.serve(&["serve"]).await);
        }
        let proxy = ReverseProxy::start(kind, ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)))).await;
        let nodes = Self { programs, running, proxy };
        let client = app.client().at(nodes.proxy.address);
        app.allow_failures();
        eventually("the proxy has found a node", async || {
            (client.call(Method::GET, "/ready").send().await.status == 200).then_some(())
        })
        .await;
        nodes
    }

    /// Stops a node as a service manager does, and starts it again.
    async fn restart(&mut self, number: usize) {
        self.running[number].take().expect("the node runs").terminate().await;
        self.running[number] = Some(self.programs[number].serve(&["serve"]).await);
    }

    async fn stop(self) {
        for node in self.running.into_iter().flatten() {
            node.kill().await;
        }
    }
}

/// What the clients have done.
#[derive(Default)]
struct Load {
    sessions: AtomicUsize,
    requests: AtomicUsize,
    is_enough: AtomicBool,
}

async fn restart_under_load(app: &TestApp, kind: Kind) {
    let people = [app.verified("ada").await, app.verified("bob").await, app.verified("eve").await];
    app.stop().await;
    let mut nodes = Nodes::start(app, kind).await;
    let load = Arc::new(Load::default());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let person = people[number % people.len()].clone();
        let person = person.using(person.client.at(nodes.proxy.address));
        clients.spawn(call(person, Arc::clone(&load)));
    }
    for number in 0..3 {
        answer(&load).await;
        nodes.restart(number).await;
    }
    answer(&load).await;
    load.is_enough.store(true, Ordering::Relaxed);
    let mut lost = Vec::new();
    while let Some(ended) = clients.join_next().await {
        lost.extend(ended.expect("a client ends"));
    }
    let requests = load.requests.load(Ordering::Relaxed);
    assert!(lost.is_empty(), "{} of {requests} requests: {lost:#?}", lost.len());
    let sessions = i64::try_from(load.sessions.load(Ordering::Relaxed)).expect("few");
    assert_eq!(app.row_count("sessions").await, sessions, "each session was started once");
    nodes.stop().await;
}

/// Waits until more requests were answered.
async fn answer(load: &Load) {
    let until = load.requests.load(Ordering::Relaxed) + REQUESTS;
    eventually("requests are answered", async || (load.requests.load(Ordering::Relaxed) >= until).then_some(())).await;
}

/// Runs sessions until it is enough. Gives the requests that failed.
async fn call(person: Person, load: Arc<Load>) -> Vec<String> {
    let mut lost = Vec::new();
    while !load.is_enough.load(Ordering::Relaxed) {
        let mut send = async |method: Method, path: &str, body: Value| {
            let response = person.api(method.clone(), path).json(&body).try_answer().await;
            load.requests.fetch_add(1, Ordering::Relaxed);
            match response {
                Ok(response) if response.status < 300 => Some(response.json),
                Ok(response) => {
                    lost.push(format!("{} {}: {}", response.to, response.status, response.text));
                    None
                }
                Err(error) => {
                    lost.push(format!("{method} {path}: {error}"));
                    None
                }
            }
        };
        let Some(session) = send(Method::POST, "/sessions/", json!({})).await else { continue };
        load.sessions.fetch_add(1, Ordering::Relaxed);
        let path = format!("/sessions/{}/detections", session["id"]);
        send(Method::POST, &path, json!([{ "emotion": "happy" }])).await;
        send(Method::GET, "/auth/me", Value::Null).await;
        send(Method::PATCH, &format!("/sessions/{}/end", session["id"]), json!({})).await;
    }
    lost
}

/// An export that fails halfway, when its first chunks are on their way.
async fn cut_export(app: &TestApp, kind: Kind) {
    let ada = app.verified("ada").await;
    let session = ada.start_session().await;
    app.detect(session, app.env.clock.now().to_jiff(), "calm", 2_000).await;
    app.stop().await;
    let nodes = Nodes::start(app, kind).await;
    let ada = ada.using(ada.client.at(nodes.proxy.address));
    let whole = ada.get("/users/me/export").await.assert_status(200);
    assert!(whole.json["left_out"].is_array() && whole.text.len() > 200_000, "{} bytes", whole.text.len());
    app.execute("ALTER TABLE reminders RENAME TO gone").await;
    let cut = ada.api(Method::GET, "/users/me/export").try_answer().await;
    assert!(cut.is_err(), "a cut export looked whole: {cut:?}");
    app.execute("ALTER TABLE gone RENAME TO reminders").await;
    nodes.stop().await;
}
