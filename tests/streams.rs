//! Events as those hear them who are logged in, and those who look on with the program; and the examples of the README.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Frame, Person, Program, Stream, TcpProxy, TestApp, eventually, tests_on_both_profiles, tests_on_production,
};

tests_on_both_profiles! {
    a_user_hears_of_their_own_and_of_nobody_elses,
    only_admins_hear_of_all,
    a_stream_goes_on_after_the_last_id_without_a_gap_or_a_repetition,
    a_stream_ends_with_its_log_in_and_no_other_does,
    a_stream_ends_when_its_user_may_not_log_in_or_has_another_role,
    a_stream_outlives_its_access_token,
    what_is_not_kept_any_more_is_told_as_a_gap,
    a_user_has_so_many_streams_and_no_more,
    a_stop_ends_every_stream,
    who_is_refused_a_stream_is_told_why,
    the_program_prints_what_is_published,
    a_signal_ends_the_program_though_nobody_takes_what_it_prints,
    the_reader_of_the_readme_reads,
}

tests_on_production! {
    the_consumer_of_the_readme_goes_on_where_it_stopped,
    two_nodes_stream_the_same_and_end_together,
}

impl Person {
    /// Hears of what happens from now on.
    async fn stream(&self, app: &TestApp) -> Stream {
        self.stream_of("/events", app).await
    }

    async fn stream_of(&self, path: &str, app: &TestApp) -> Stream {
        app.wait_until_published().await;
        self.api(Method::GET, path).stream().await.opened().await
    }

    async fn stream_after(&self, last: &str) -> Stream {
        self.api(Method::GET, "/events").header("last-event-id", last).stream().await
    }
}

async fn a_user_hears_of_their_own_and_of_nobody_elses(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let (mut of_ada, mut of_bob) = (ada.stream(app).await, bob.stream(app).await);
    let (id, other) = (ada.start_session().await, bob.start_session().await);
    ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    bob.delete(&format!("/sessions/{other}")).await.assert_status(200);
    let told = of_ada.names(&["session.started", "session.ended"]).await;
    assert!(told.iter().all(|frame| frame.data["data"]["user_id"] == ada.id), "{told:?}");
    assert_eq!(told[0].data["data"]["session_id"], id);
    of_bob.names(&["session.started", "session.deleted"]).await;
}

async fn only_admins_hear_of_all(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.verified("ada").await);
    let refused = ada.get("/events?all=true").await.assert_status(403);
    assert_eq!(refused.kind(), "forbidden");
    let mut all = admin.stream_of("/events?all=true", app).await;
    ada.start_session().await;
    let bob = app.register("bob").await;
    let told = all.names(&["session.started", "user.registered"]).await;
    assert_eq!(told[0].data["data"]["user_id"], ada.id);
    let mut own = admin.stream(app).await;
    bob.register().await.assert_status(201);
    ada.start_session().await;
    admin.start_session().await;
    let told = own.names(&["session.started"]).await;
    assert_eq!(told[0].data["data"]["user_id"], admin.id, "one's own unless told");
}

async fn a_stream_goes_on_after_the_last_id_without_a_gap_or_a_repetition(app: &TestApp) {
    let ada = app.verified("ada").await;
    let mut stream = ada.stream(app).await;
    let first = ada.start_session().await;
    let told = stream.names(&["session.started"]).await;
    assert_eq!(told[0].data["data"]["session_id"], first);
    let last = stream.last.clone();
    drop(stream);
    let missed: Vec<i64> = vec![ada.start_session().await, ada.start_session().await];
    let mut stream = ada.stream_after(&last).await;
    let later = ada.start_session().await;
    let told = stream.names(&["session.started"; 3]).await;
    let heard: Vec<i64> = told.iter().filter_map(|frame| frame.data["data"]["session_id"].as_i64()).collect();
    assert_eq!(heard, [missed, vec![later]].concat());
    let positions: Vec<i64> = told.iter().map(|frame| frame.id.parse().expect("a position")).collect();
    assert!(positions.is_sorted_by(|one, next| one < next), "{positions:?}");
}

async fn a_stream_ends_with_its_log_in_and_no_other_does(app: &TestApp) {
    let ada = app.verified("ada").await;
    let (phone, tablet, laptop) = (ada.log_in_again().await, ada.log_in_again().await, ada.log_in_again().await);
    let [mut of_phone, mut of_tablet, mut of_laptop] =
        [phone.stream(app).await, tablet.stream(app).await, laptop.stream(app).await];
    phone.post("/auth/logout", json!({})).await.assert_status(200);
    assert_eq!(of_phone.next().await, None, "at once");
    let change = json!({ "current_password": ada.password, "new_password": "a new and longer word" });
    laptop.post("/auth/change-password", change).await.assert_status(200);
    ended(&mut of_tablet).await;
    of_laptop.names(&["user.password_changed"]).await;
    laptop.post("/auth/logout-all", json!({})).await.assert_status(200);
    assert_eq!(of_laptop.next().await, None);
}

/// Whatever was told before; the end comes.
async fn ended(stream: &mut Stream) {
    while stream.next().await.is_some() {}
}

async fn a_stream_ends_when_its_user_may_not_log_in_or_has_another_role(app: &TestApp) {
    let (admin, grace) = (app.admin().await, app.admin().await);
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let [mut of_ada, mut of_bob] = [ada.stream(app).await, bob.stream(app).await];
    let mut all = grace.stream_of("/events?all=true", app).await;
    admin.patch(&format!("/users/{}/suspend", ada.id)).await.assert_status(200);
    ended(&mut of_ada).await;
    admin.delete(&format!("/users/{}", bob.id)).await.assert_status(200);
    ended(&mut of_bob).await;
    admin.put(&format!("/users/{}", grace.id), json!({ "role": "user" })).await.assert_status(200);
    ended(&mut all).await;
}

async fn a_stream_outlives_its_access_token(app: &TestApp) {
    let ada = app.verified("ada").await;
    let mut stream = ada.stream(app).await;
    app.advance(31);
    ada.get("/events").await.assert_status(401);
    let again = ada.with_tokens(&ada.refresh().await.assert_status(200));
    again.start_session().await;
    stream.names(&["session.started"]).await;
}

async fn what_is_not_kept_any_more_is_told_as_a_gap(app: &TestApp) {
    let ada = app.verified("ada").await;
    let mut stream = ada.stream(app).await;
    ada.start_session().await;
    let first = stream.names(&["session.started"]).await.remove(0);
    ada.start_session().await;
    let second = stream.names(&["session.started"]).await.remove(0);
    let (from, after) = (second.id.parse::<i64>().expect("a position"), "1");
    app.execute(&format!("DELETE FROM events WHERE position < {from}")).await;
    let mut resumed = ada.stream_after(after).await;
    let gap = resumed.next().await.expect("a gap");
    assert_eq!((gap.event.as_str(), gap.data), ("gap", json!({ "after": 1, "from": from })));
    assert_eq!(gap.id, (from - 1).to_string(), "who is cut off here misses nothing");
    assert_eq!(resumed.next().await.map(|frame| frame.data), Some(second.data));
    assert_ne!(first.id, second.id);
    let mut ahead = ada.stream_after("4000000").await;
    assert_eq!(ahead.next().await.expect("a gap").data, json!({ "after": 4_000_000, "from": from + 1 }));
}

async fn a_user_has_so_many_streams_and_no_more(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(ada.stream(app).await);
    }
    let refused = ada.get("/events").await.assert_status(429);
    assert_eq!(refused.kind(), "too-many-streams");
    bob.stream(app).await;
    open.pop();
    eventually("a place", async || (ada.get("/events").await.status == 200).then_some(())).await;
}

async fn a_stop_ends_every_stream(app: &TestApp) {
    let ada = app.verified("ada").await;
    let mut stream = ada.stream(app).await;
    app.stop().await;
    assert_eq!(stream.next().await, None);
}

async fn who_is_refused_a_stream_is_told_why(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.client().get("/events").await.assert_status(401);
    assert_eq!(ada.get("/events?all=maybe").await.assert_status(422).invalid_fields(), ["query.all"]);
    let resume = ada.api(Method::GET, "/events").header("last-event-id", "yesterday").send().await.assert_status(422);
    assert_eq!(resume.invalid_fields(), ["header.Last-Event-ID"]);
}

async fn the_program_prints_what_is_published(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    app.events_of(ada.id, &["user.registered", "user.verified", "session.started"]).await;
    let line = ["events", "tail", "--since", "1h", "--subject", "session.>"];
    let mut tail = Program::on(&app.env).begin(&line);
    let told = |line: String| serde_json::from_str::<Value>(&line).expect("JSON");
    let started = told(tail.line().await);
    assert_eq!(
        (&started["type"], &started["data"]["session_id"]),
        (&json!("faceofmind.v1.session.started"), &json!(id))
    );
    ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    assert_eq!(told(tail.line().await)["type"], "faceofmind.v1.session.ended");
    tail.signal("INT").await;
    let left = tail.ended().await;
    assert_eq!(left.code, Some(0), "{left:?}");
    for wrong in [["--since", "yesterday"], ["--subject", "session started"]] {
        let left = Program::on(&app.env).run(&[&["events", "tail"][..], &wrong].concat(), "").await;
        assert!(left.code == Some(2) && left.errors.contains("such as"), "{left:?}");
    }
}

async fn a_signal_ends_the_program_though_nobody_takes_what_it_prints(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    // More than the pipe and its reader hold.
    let felt = Value::from(vec![json!({ "emotion": "sad" }); 100]);
    for _ in 0..5 {
        ada.post(&format!("/sessions/{id}/detections"), felt.clone()).await.assert_status(201);
    }
    app.wait_until_published().await;
    let mut tail = Program::on(&app.env).begin(&["events", "tail", "--since", "1h"]);
    tail.line().await;
    tail.signal("TERM").await;
    let left = tail.ended().await;
    assert_eq!(left.code, Some(0), "{left:?}");
}

#[test]
fn without_events_there_is_nothing_to_print() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread");
    let data = folder.path().join("none");
    let nowhere = [("DATA_DIR", data.to_str().expect("UTF-8")), ("NATS_URL", "nats://127.0.0.1:9")];
    for (settings, named) in [(&nowhere[..1], "faceofmind serve"), (&nowhere, "NATS")] {
        let left = runtime.block_on(Program::with(settings).run(&["events", "tail"], ""));
        assert!(left.code == Some(1) && left.errors.contains(named), "{left:?}");
        assert!(!data.exists(), "it makes nothing");
    }
}

/// The README shows the examples as they are, and these are run.
#[test]
fn the_readme_shows_the_examples_that_are_run() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect("it is there");
    let readme = read("README.md");
    for (name, language) in [("examples/consumer.rs", "rust"), ("examples/reader.py", "python")] {
        let shown = format!("```{language}\n{}```", read(name));
        assert!(readme.contains(&shown), "README.md does not show {name} as it is");
    }
}

async fn the_reader_of_the_readme_reads(app: &TestApp) {
    let ada = app.verified("ada").await;
    let wire = TcpProxy::to(&app.address.to_string()).await;
    let api = wire.rewrite_url("http://server/api/v1");
    app.wait_until_published().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/reader.py");
    let mut reader = Program::python(&[("API", &api), ("TOKEN", &ada.access)]).begin(&[script]);
    // It says nothing before the first event: sessions are opened until one is heard of.
    let mut opening = std::pin::pin!(async {
        loop {
            ada.start_session().await;
            tokio::task::yield_now().await;
        }
    });
    let line = tokio::select! {
        line = reader.line() => line,
        () = &mut opening => unreachable!("it goes on for ever"),
    };
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((&event["type"], &event["data"]["user_id"]), (&json!("faceofmind.v1.session.started"), &json!(ada.id)));
    wire.cut();
    let missed = json!(ada.start_session().await);
    wire.restore();
    let told = |line: String| serde_json::from_str::<Value>(&line).expect("JSON")["data"]["session_id"].clone();
    while told(reader.line().await) != missed {}
    ada.post("/auth/logout", json!({})).await.assert_status(200);
    let left = reader.ended().await;
    assert!(left.code == Some(1) && left.errors.contains("401"), "{left:?}");
}

async fn the_consumer_of_the_readme_goes_on_where_it_stopped(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.events_of(ada.id, &["user.registered", "user.verified"]).await;
    let nats = app.env.nats().and_then(|url| url.strip_prefix("nats://")).expect("production has one");
    let (who, server) = nats.split_once('@').expect("user:password@host:port");
    let (user, password) = who.split_once(':').expect("user:password");
    let settings = [("NATS_URL", server), ("NATS_USER", user), ("NATS_PASSWORD", password)];
    let consumer = Program::example("consumer", &settings);
    let mut first = consumer.begin(&[]);
    assert!(first.line().await.starts_with("\"faceofmind.v1.user.registered\" "));
    assert!(first.line().await.starts_with("\"faceofmind.v1.user.verified\" "));
    let id = ada.start_session().await;
    assert!(first.line().await.starts_with("\"faceofmind.v1.session.started\" "));
    // The last line may have been printed before it was acknowledged: a durable consumer gets that one again.
    first.signal("KILL").await;
    first.ended().await;
    ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    let mut second = consumer.begin(&[]);
    let mut line = second.line().await;
    if line.contains("session.started") {
        line = second.line().await;
    }
    assert!(line.starts_with("\"faceofmind.v1.session.ended\" "), "{line}");
}

async fn two_nodes_stream_the_same_and_end_together(app: &TestApp) {
    let node = app.another_node(&[]).await;
    let ada = app.verified("ada").await;
    let there = ada.using(ada.client.at(node.address));
    let [mut here, mut elsewhere] = [ada.stream(app).await, there.stream(app).await];
    ada.start_session().await;
    there.start_session().await;
    let told = here.names(&["session.started"; 2]).await;
    assert_eq!(elsewhere.names(&["session.started"; 2]).await, told, "with the same ids");
    let Frame { id, .. } = &told[0];
    let mut resumed = there.stream_after(id).await;
    assert_eq!(resumed.names(&["session.started"]).await, told[1..]);
    ada.post("/auth/logout", json!({})).await.assert_status(200);
    for stream in [&mut here, &mut elsewhere, &mut resumed] {
        assert_eq!(stream.next().await, None);
    }
    node.stop().await;
}
