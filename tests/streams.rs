//! `GET /events`, the command `faceofmind events tail`, and the examples in the documents.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    EventStream, Frame, Person, Program, TcpProxy, TestApp, eventually, tests_on_both_profiles, tests_on_production,
};

tests_on_both_profiles! {
    a_user_receives_only_their_own_events,
    only_admins_receive_all_events,
    a_stream_resumes_after_the_last_id_without_a_gap_or_a_repetition,
    a_stream_ends_with_its_login_and_other_streams_stay_open,
    a_stream_ends_when_its_user_is_suspended_deleted_or_changes_role,
    a_stream_outlives_its_access_token,
    deleted_events_are_reported_as_a_gap,
    the_streams_of_one_user_are_limited,
    a_stop_ends_every_stream,
    a_refused_stream_names_the_reason,
    events_tail_prints_published_events,
    a_signal_ends_events_tail_while_its_output_is_not_read,
    the_example_reader_resumes_after_a_disconnect,
}

tests_on_production! {
    the_example_consumer_resumes_where_it_stopped,
    two_nodes_stream_the_same_events_and_end_together,
}

impl Person {
    /// Opens a stream of the events from now on.
    async fn stream(&self, app: &TestApp) -> EventStream {
        self.stream_of("/events", app).await
    }

    async fn stream_of(&self, path: &str, app: &TestApp) -> EventStream {
        app.wait_until_published().await;
        self.api(Method::GET, path).stream().await.wait_until_open().await
    }

    async fn stream_after(&self, last: &str) -> EventStream {
        self.api(Method::GET, "/events").header("last-event-id", last).stream().await
    }
}

async fn a_user_receives_only_their_own_events(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let (mut of_ada, mut of_bob) = (ada.stream(app).await, bob.stream(app).await);
    let (id, other) = (ada.start_session().await, bob.start_session().await);
    ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    bob.delete(&format!("/sessions/{other}")).await.assert_status(200);
    let frames = of_ada.expect_events(&["session.started", "session.ended"]).await;
    assert!(frames.iter().all(|frame| frame.data["data"]["user_id"] == ada.id), "{frames:?}");
    assert_eq!(frames[0].data["data"]["session_id"], id);
    of_bob.expect_events(&["session.started", "session.deleted"]).await;
}

async fn only_admins_receive_all_events(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.verified("ada").await);
    let refused = ada.get("/events?all=true").await.assert_status(403);
    assert_eq!(refused.kind(), "forbidden");
    let mut all = admin.stream_of("/events?all=true", app).await;
    ada.start_session().await;
    let bob = app.register("bob").await;
    let frames = all.expect_events(&["session.started", "user.registered"]).await;
    assert_eq!(frames[0].data["data"]["user_id"], ada.id);
    let mut own = admin.stream(app).await;
    bob.register().await.assert_status(201);
    ada.start_session().await;
    admin.start_session().await;
    let frames = own.expect_events(&["session.started"]).await;
    assert_eq!(frames[0].data["data"]["user_id"], admin.id, "only their own by default");
}

async fn a_stream_resumes_after_the_last_id_without_a_gap_or_a_repetition(app: &TestApp) {
    let ada = app.verified("ada").await;
    let mut stream = ada.stream(app).await;
    let first = ada.start_session().await;
    let frames = stream.expect_events(&["session.started"]).await;
    assert_eq!(frames[0].data["data"]["session_id"], first);
    let last = stream.last_id.clone();
    drop(stream);
    let missed: Vec<i64> = vec![ada.start_session().await, ada.start_session().await];
    let mut stream = ada.stream_after(&last).await;
    let later = ada.start_session().await;
    let frames = stream.expect_events(&["session.started"; 3]).await;
    let received: Vec<i64> = frames.iter().filter_map(|frame| frame.data["data"]["session_id"].as_i64()).collect();
    assert_eq!(received, [missed, vec![later]].concat());
    let positions: Vec<i64> = frames.iter().map(|frame| frame.id.parse().expect("a position")).collect();
    assert!(positions.is_sorted_by(|one, next| one < next), "{positions:?}");
}

async fn a_stream_ends_with_its_login_and_other_streams_stay_open(app: &TestApp) {
    let ada = app.verified("ada").await;
    let (phone, tablet, laptop) = (ada.log_in_again().await, ada.log_in_again().await, ada.log_in_again().await);
    let [mut of_phone, mut of_tablet, mut of_laptop] =
        [phone.stream(app).await, tablet.stream(app).await, laptop.stream(app).await];
    phone.post("/auth/logout", json!({})).await.assert_status(200);
    assert_eq!(of_phone.next().await, None, "the stream ends at once");
    let change = json!({ "current_password": ada.password, "new_password": "a new and longer word" });
    laptop.post("/auth/change-password", change).await.assert_status(200);
    of_tablet.expect_end().await;
    of_laptop.expect_events(&["user.password_changed"]).await;
    laptop.post("/auth/logout-all", json!({})).await.assert_status(200);
    assert_eq!(of_laptop.next().await, None);
}

async fn a_stream_ends_when_its_user_is_suspended_deleted_or_changes_role(app: &TestApp) {
    let (admin, grace) = (app.admin().await, app.admin().await);
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let [mut of_ada, mut of_bob] = [ada.stream(app).await, bob.stream(app).await];
    let mut all = grace.stream_of("/events?all=true", app).await;
    admin.patch(&format!("/users/{}/suspend", ada.id)).await.assert_status(200);
    of_ada.expect_end().await;
    admin.delete(&format!("/users/{}", bob.id)).await.assert_status(200);
    of_bob.expect_end().await;
    admin.put(&format!("/users/{}", grace.id), json!({ "role": "user" })).await.assert_status(200);
    all.expect_end().await;
}

async fn a_stream_outlives_its_access_token(app: &TestApp) {
    let ada = app.verified("ada").await;
    let mut stream = ada.stream(app).await;
    app.advance(31);
    ada.get("/events").await.assert_status(401);
    let again = ada.with_tokens(&ada.refresh().await.assert_status(200));
    again.start_session().await;
    stream.expect_events(&["session.started"]).await;
}

async fn deleted_events_are_reported_as_a_gap(app: &TestApp) {
    let ada = app.verified("ada").await;
    let mut stream = ada.stream(app).await;
    ada.start_session().await;
    let first = stream.expect_events(&["session.started"]).await.remove(0);
    ada.start_session().await;
    let second = stream.expect_events(&["session.started"]).await.remove(0);
    let (from, after) = (second.id.parse::<i64>().expect("a position"), "1");
    app.execute(&format!("DELETE FROM events WHERE position < {from}")).await;
    let mut resumed = ada.stream_after(after).await;
    let gap = resumed.next().await.expect("a gap");
    assert_eq!((gap.event.as_str(), gap.data), ("gap", json!({ "after": 1, "from": from })));
    assert_eq!(gap.id, (from - 1).to_string(), "a client that resumes here misses nothing");
    assert_eq!(resumed.next().await.map(|frame| frame.data), Some(second.data));
    assert_ne!(first.id, second.id);
    let mut ahead = ada.stream_after("4000000").await;
    assert_eq!(ahead.next().await.expect("a gap").data, json!({ "after": 4_000_000, "from": from + 1 }));
}

async fn the_streams_of_one_user_are_limited(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(ada.stream(app).await);
    }
    let refused = ada.get("/events").await.assert_status(429);
    assert_eq!(refused.kind(), "too-many-streams");
    ada.api(Method::HEAD, "/events").send().await.assert_status(200);
    bob.stream(app).await;
    open.pop();
    eventually("another stream can be opened", async || (ada.get("/events").await.status == 200).then_some(())).await;
}

async fn a_stop_ends_every_stream(app: &TestApp) {
    let ada = app.verified("ada").await;
    let mut stream = ada.stream(app).await;
    app.stop().await;
    assert_eq!(stream.next().await, None);
}

async fn a_refused_stream_names_the_reason(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.client().get("/events").await.assert_status(401);
    assert_eq!(ada.get("/events?all=maybe").await.assert_status(422).invalid_fields(), ["query.all"]);
    let resume = ada.api(Method::GET, "/events").header("last-event-id", "yesterday").send().await.assert_status(422);
    assert_eq!(resume.invalid_fields(), ["header.Last-Event-ID"]);
}

async fn events_tail_prints_published_events(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    app.events_of(ada.id, &["user.registered", "user.verified", "session.started"]).await;
    let line = ["events", "tail", "--since", "1h", "--subject", "session.>"];
    let mut tail = Program::in_env(&app.env, &[]).start(&line);
    let event = |line: String| serde_json::from_str::<Value>(&line).expect("JSON");
    let started = event(tail.line().await);
    assert_eq!(
        (&started["type"], &started["data"]["session_id"]),
        (&json!("faceofmind.v1.session.started"), &json!(id))
    );
    ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    assert_eq!(event(tail.line().await)["type"], "faceofmind.v1.session.ended");
    tail.signal("INT").await;
    let exited = tail.exited().await;
    assert_eq!(exited.code, Some(0), "{exited:?}");
    for wrong in [["--since", "yesterday"], ["--subject", "session started"]] {
        let exited = Program::in_env(&app.env, &[]).run(&[&["events", "tail"][..], &wrong].concat(), "").await;
        assert!(exited.code == Some(2) && exited.errors.contains("such as"), "{exited:?}");
    }
}

async fn a_signal_ends_events_tail_while_its_output_is_not_read(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    // More output than the pipe and its reader buffer.
    let detections = Value::from(vec![json!({ "emotion": "sad" }); 100]);
    for _ in 0..5 {
        ada.post(&format!("/sessions/{id}/detections"), detections.clone()).await.assert_status(201);
    }
    app.wait_until_published().await;
    let mut tail = Program::in_env(&app.env, &[]).start(&["events", "tail", "--since", "1h"]);
    tail.line().await;
    tail.signal("TERM").await;
    let exited = tail.exited_unread().await;
    assert_eq!(exited.code, Some(0), "{exited:?}");
}

#[tokio::test]
async fn events_tail_fails_without_a_source_of_events() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("none");
    let nowhere = [("DATA_DIR", data.to_str().expect("UTF-8")), ("NATS_URL", "nats://127.0.0.1:9")];
    for (settings, named) in [(&nowhere[..1], "faceofmind serve"), (&nowhere, "NATS")] {
        let exited = Program::with_only(settings).run(&["events", "tail"], "").await;
        assert!(exited.code == Some(1) && exited.errors.contains(named), "{exited:?}");
        assert!(!data.exists(), "the command creates no files");
    }
}

/// The tests below run the examples, so that what the documents show works.
#[test]
fn the_documents_show_the_examples_that_are_run() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("readable");
    let folder = std::fs::read_dir(root.join("docs")).expect("readable").map(|entry| entry.expect("an entry").path());
    let documents = folder.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let documents: Vec<_> = documents.chain([root.join("README.md")]).map(|path| read(&path)).collect();
    for (name, language) in [("examples/consumer.rs", "rust"), ("examples/reader.py", "python")] {
        let block = format!("```{language}\n{}```", read(&root.join(name)));
        assert!(documents.iter().any(|text| text.contains(&block)), "no document shows {name} as it is");
    }
}

async fn the_example_reader_resumes_after_a_disconnect(app: &TestApp) {
    let ada = app.verified("ada").await;
    let proxy = TcpProxy::to(&app.address.to_string()).await;
    let api = proxy.rewrite_url("http://server/api/v1");
    app.wait_until_published().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/reader.py");
    let mut reader = Program::python(&[("API", &api), ("TOKEN", &ada.access)]).start(&[script]);
    // The reader prints nothing before the first event, so start sessions until it prints one.
    let mut starting = std::pin::pin!(async {
        loop {
            ada.start_session().await;
            tokio::task::yield_now().await;
        }
    });
    let line = tokio::select! {
        line = reader.line() => line,
        () = &mut starting => unreachable!("the loop has no end"),
    };
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((&event["type"], &event["data"]["user_id"]), (&json!("faceofmind.v1.session.started"), &json!(ada.id)));
    proxy.cut();
    let missed = json!(ada.start_session().await);
    proxy.restore();
    let session = |line: String| serde_json::from_str::<Value>(&line).expect("JSON")["data"]["session_id"].clone();
    while session(reader.line().await) != missed {}
    ada.post("/auth/logout", json!({})).await.assert_status(200);
    let exited = reader.exited().await;
    assert!(exited.code == Some(1) && exited.errors.contains("401"), "{exited:?}");
}

async fn the_example_consumer_resumes_where_it_stopped(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.events_of(ada.id, &["user.registered", "user.verified"]).await;
    let nats = app.env.nats().and_then(|url| url.strip_prefix("nats://")).expect("production has NATS");
    let (who, server) = nats.split_once('@').expect("user:password@host:port");
    let (user, password) = who.split_once(':').expect("user:password");
    let settings = [("NATS_URL", server), ("NATS_USER", user), ("NATS_PASSWORD", password)];
    let consumer = Program::example("consumer", &settings);
    let mut first = consumer.start(&[]);
    assert!(first.line().await.starts_with("\"faceofmind.v1.user.registered\" "));
    assert!(first.line().await.starts_with("\"faceofmind.v1.user.verified\" "));
    let id = ada.start_session().await;
    assert!(first.line().await.starts_with("\"faceofmind.v1.session.started\" "));
    // The event of the last line may not be acknowledged. Then the durable consumer receives it again.
    first.kill().await;
    ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    let mut second = consumer.start(&[]);
    let mut line = second.line().await;
    if line.contains("session.started") {
        line = second.line().await;
    }
    assert!(line.starts_with("\"faceofmind.v1.session.ended\" "), "{line}");
}

async fn two_nodes_stream_the_same_events_and_end_together(app: &TestApp) {
    let node = app.another_node(&[]).await;
    let ada = app.verified("ada").await;
    let there = ada.using(ada.client.at(node.address));
    let [mut here, mut elsewhere] = [ada.stream(app).await, there.stream(app).await];
    ada.start_session().await;
    there.start_session().await;
    let frames = here.expect_events(&["session.started"; 2]).await;
    assert_eq!(elsewhere.expect_events(&["session.started"; 2]).await, frames, "events and ids are the same");
    let Frame { id, .. } = &frames[0];
    let mut resumed = there.stream_after(id).await;
    assert_eq!(resumed.expect_events(&["session.started"]).await, frames[1..]);
    ada.post("/auth/logout", json!({})).await.assert_status(200);
    for stream in [&mut here, &mut elsewhere, &mut resumed] {
        assert_eq!(stream.next().await, None);
    }
    node.stop().await;
}
