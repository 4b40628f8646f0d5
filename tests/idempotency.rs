//! `Idempotency-Key`: a request that is sent twice takes effect once.

use faceofmind_domain::sessions::{ArmFailPoint, FailPointSite};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Person, Response, TestApp, concurrently, eventually, logs, tests_on_both_profiles};

tests_on_both_profiles! {
    the_same_key_and_body_get_the_stored_response,
    the_same_key_with_another_body_is_refused,
    concurrent_calls_with_one_key_start_one_session,
    a_key_belongs_to_its_user,
    a_key_is_kept_for_24_hours,
    a_key_survives_a_restart,
    a_key_outlives_the_session_that_it_started,
    an_invalid_request_stores_no_key,
    an_invalid_key_is_refused_by_name,
    anonymous_calls_ignore_keys,
    calls_with_one_key_record_once,
    a_refused_request_leaves_the_key_unused,
    the_key_of_a_write_whose_outcome_is_unknown_tells_the_outcome,
    stored_responses_are_encrypted,
    a_stored_response_whose_encryption_key_is_missing_is_not_replayed,
}

const SAID: &str = "I could not sleep again";

/// The requests that record something in a session: path, body, and status of the response.
fn recording(id: i64) -> [(String, Value, u16); 3] {
    let emotion = json!({ "emotion": "sad", "voice_content": SAID });
    [
        (format!("/sessions/{id}/detections"), json!([emotion, emotion]), 201),
        (format!("/sessions/{id}/process_emotion"), emotion, 200),
        (format!("/sessions/{id}/feedback"), json!({ "comment": SAID, "rating": 4 }), 201),
    ]
}

async fn calls_with_one_key_record_once(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    for (path, body, status) in recording(id) {
        let calls = (0..10).map(|_| {
            let (ada, path, body) = (ada.clone(), path.clone(), body.clone());
            async move { ada.post_with_key(&path, "one", &body).await.assert_status(status).text }
        });
        let mut answers = concurrently(calls).await;
        let before = app.row_counts().await;
        answers.push(ada.post_with_key(&path, "one", &body).await.assert_status(status).text);
        answers.dedup();
        assert_eq!(answers.len(), 1, "{path}: {answers:?}");
        let other = json!({ "emotion": "x", "voice_content": "", "comment": "", "rating": 1 });
        let other = ada.post_with_key(&path, "one", &other).await;
        assert_eq!(other.assert_status(422).kind(), "idempotency-key-reused", "{path}");
        assert_eq!(app.row_counts().await, before, "{path}");
    }
    assert_eq!((app.row_count("emotion_detections").await, app.row_count("feedback").await), (3, 1));
    ada.delete(&format!("/sessions/{id}")).await.assert_status(200);
    for (path, body, status) in recording(id) {
        ada.post_with_key(&path, "one", &body).await.assert_status(status);
    }
    assert_eq!(app.row_count("emotion_detections").await, 0, "the replay records nothing");
}

async fn a_refused_request_leaves_the_key_unused(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let path = format!("/sessions/{id}/feedback");
    ada.post_with_key(&path, "one", &json!({ "comment": "early", "rating": 1 })).await.assert_status(400);
    assert_eq!(app.row_count("idempotency_keys").await, 0);
    ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    ada.post_with_key(&path, "one", &json!({ "comment": "in time", "rating": 5 })).await.assert_status(201);
    ada.post_with_key(&path, "two", &json!({ "comment": "again", "rating": 5 })).await.assert_status(400);
    for (path, body, _) in recording(4_000_000) {
        ada.post_with_key(&path, "one", &body).await.assert_status(404);
    }
    assert_eq!(app.row_count("idempotency_keys").await, 1);
}

/// The session tracker panics, once before and once after the commit.
async fn the_key_of_a_write_whose_outcome_is_unknown_tells_the_outcome(app: &TestApp) {
    app.allow_restarts();
    let ada = app.verified("ada").await;
    for (sessions, site) in (1..).zip([FailPointSite::Written, FailPointSite::Committed]) {
        let key = format!("{site:?}");
        let fail_point = app.sessions.ask(ArmFailPoint { site, min_commands: 1 }).await.expect("arms");
        let unknown = start(&ada, &key, "{}").await.assert_status(504);
        assert_eq!((unknown.kind(), unknown.header("retry-after")), ("outcome-unknown", ""), "{key}");
        assert!(!fail_point.is_armed(), "{key}");
        let is_done = site == FailPointSite::Committed;
        assert_eq!(app.row_count("sessions").await, sessions - i64::from(!is_done), "{key}");
        let told = eventually("the session tracker is restarted", async || {
            let told = start(&ada, &key, "{}").await;
            (told.status != 503).then_some(told)
        });
        let told = told.await.assert_status(201);
        assert_eq!(start(&ada, &key, "{}").await.assert_status(201).text, told.text, "{key}");
        assert_eq!(app.row_count("sessions").await, sessions, "{key}: no second row");
        assert_eq!(app.number("SELECT max(id) FROM sessions").await, told.number_of("id"), "{key}");
    }
}

async fn stored_responses_are_encrypted(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.env.forbid_in_log(SAID);
    for (path, body, status) in recording(ada.start_session().await) {
        ada.post_with_key(&path, "one", &body).await.assert_status(status);
    }
    let stored = app.texts("SELECT answer FROM idempotency_keys").await;
    assert_eq!(stored.len(), 3);
    assert!(
        stored.iter().all(|response| response.starts_with("sealed:v1:test:") && !response.contains("sleep")),
        "{stored:?}"
    );
}

async fn a_stored_response_whose_encryption_key_is_missing_is_not_replayed(app: &TestApp) {
    let ada = app.verified("ada").await;
    start(&ada, "one", "{}").await.assert_status(201);
    let app = app.restarted(&[("DATA_KEY", "other:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=")]).await;
    app.allow_failures();
    let ada = ada.using(app.client());
    start(&ada, "one", "{}").await.assert_status(500);
    assert!(logs::contain(&["was encrypted with `test`: add that key to DATA_KEY again"]), "the log names the remedy");
    assert!(logs::contain(&["request failed: stored data is lost or corrupt"]), "the log names the failure");
    start(&ada, "two", "{}").await.assert_status(201);
    assert_eq!(app.row_count("sessions").await, 2, "no session is started twice");
    app.stop().await;
}

async fn start(person: &Person, key: &str, body: &str) -> Response {
    person.api(Method::POST, "/sessions/").header("idempotency-key", key).body(body.to_owned()).send().await
}

async fn the_same_key_and_body_get_the_stored_response(app: &TestApp) {
    let ada = app.verified("ada").await;
    let first = start(&ada, "one", "{}").await.assert_status(201);
    app.advance(1);
    let again = start(&ada, "one", "{}").await.assert_status(201);
    assert_eq!(again.text, first.text);
    let without_slash = ada.api(Method::POST, "/sessions").header("idempotency-key", "one").body("{}").send().await;
    assert_eq!(without_slash.assert_status(201).text, first.text);
    let other = start(&ada, "two", "{}").await.assert_status(201);
    assert_ne!(other.json["id"], first.json["id"]);
    ada.post("/sessions/", json!({})).await.assert_status(201);
    assert_eq!(app.row_count("sessions").await, 3);
    let names = ["user.registered", "user.verified", "session.started", "session.started", "session.started"];
    app.events_of(ada.id, &names).await;
}

async fn the_same_key_with_another_body_is_refused(app: &TestApp) {
    let ada = app.verified("ada").await;
    start(&ada, "one", "{}").await.assert_status(201);
    let refused = start(&ada, "one", r#"{"mood":"other"}"#).await.assert_status(422);
    assert_eq!(refused.kind(), "idempotency-key-reused");
    assert_eq!(app.row_count("sessions").await, 1);
}

async fn concurrent_calls_with_one_key_start_one_session(app: &TestApp) {
    let ada = app.verified("ada").await;
    let calls = (0..20).map(|_| {
        let ada = ada.clone();
        async move { start(&ada, "one", "{}").await.assert_status(201).text }
    });
    let mut answers = concurrently(calls).await;
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(app.row_count("sessions").await, 1);
}

async fn a_key_belongs_to_its_user(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let of_ada = start(&ada, "one", "{}").await.assert_status(201);
    let of_bob = start(&bob, "one", "{}").await.assert_status(201);
    assert_ne!(of_ada.json["id"], of_bob.json["id"]);
    let elsewhere = ada.log_in_again().await;
    assert_eq!(start(&elsewhere, "one", "{}").await.assert_status(201).text, of_ada.text, "with any login of the user");
}

async fn a_key_is_kept_for_24_hours(app: &TestApp) {
    let ada = app.verified("ada").await;
    let first = start(&ada, "one", "{}").await.assert_status(201);
    app.advance(23 * 60);
    let ada = ada.log_in_again().await;
    assert_eq!(start(&ada, "one", "{}").await.assert_status(201).text, first.text);
    app.advance(61);
    let ada = ada.log_in_again().await;
    assert_ne!(start(&ada, "one", r#"{"x":1}"#).await.assert_status(201).json["id"], first.json["id"]);
}

async fn a_key_survives_a_restart(app: &TestApp) {
    let ada = app.verified("ada").await;
    let first = start(&ada, "one", "{}").await.assert_status(201);
    let app = app.restarted(&[]).await;
    assert_eq!(start(&ada.using(app.client()), "one", "{}").await.assert_status(201).text, first.text);
    app.stop().await;
}

async fn a_key_outlives_the_session_that_it_started(app: &TestApp) {
    let ada = app.verified("ada").await;
    let first = start(&ada, "one", "{}").await.assert_status(201);
    ada.delete(&format!("/sessions/{}", first.number_of("id"))).await.assert_status(200);
    assert_eq!(start(&ada, "one", "{}").await.assert_status(201).text, first.text);
    assert_eq!(app.row_count("sessions").await, 0, "the replay records nothing");
}

async fn an_invalid_request_stores_no_key(app: &TestApp) {
    let ada = app.verified("ada").await;
    start(&ada, "one", "[]").await.assert_status(422);
    start(&ada, "one", "{").await.assert_status(422);
    start(&ada, "one", "{}").await.assert_status(201);
}

async fn an_invalid_key_is_refused_by_name(app: &TestApp) {
    let ada = app.verified("ada").await;
    for key in ["", &"k".repeat(256), "a\tb"] {
        let bad = start(&ada, key, "{}").await.assert_status(422);
        assert_eq!(bad.invalid_fields(), ["header.Idempotency-Key"], "{key}");
    }
    start(&ada, &"k".repeat(255), "{}").await.assert_status(201);
    start(&ada, " ~ any printable ~ !", "{}").await.assert_status(201);
    assert_eq!(app.row_count("sessions").await, 2);
}

async fn anonymous_calls_ignore_keys(app: &TestApp) {
    let (ada, bob) = (app.person("ada"), app.person("bob"));
    for person in [&ada, &bob, &ada] {
        let call = person.client.api(Method::POST, "/auth/register").header("idempotency-key", "one");
        call.json(&person.registration()).send().await.assert_status(201);
    }
    assert_eq!(app.row_count("users").await, 2);
    assert_eq!(app.row_count("idempotency_keys").await, 0);
}
