//! `Idempotency-Key`: the same call sent twice is done once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Person, Response, TestApp, concurrently, logs, tests_on_both_profiles};

tests_on_both_profiles! {
    the_same_key_and_body_get_the_first_answer_again,
    the_same_key_with_another_body_is_refused,
    many_at_once_with_one_key_start_one_session,
    a_key_is_its_users_own,
    a_key_is_kept_for_a_day,
    a_key_survives_a_restart,
    a_key_outlives_what_it_made,
    a_call_that_was_refused_leaves_no_key,
    a_bad_key_is_refused_by_name,
    anonymous_calls_ignore_keys,
    whatever_is_recorded_under_a_key_is_recorded_once,
    a_refusal_leaves_the_key_free,
    kept_answers_rest_sealed,
    a_kept_answer_whose_key_is_gone_is_asked_for_in_vain,
}

const SAID: &str = "I could not sleep again";

async fn keyed(person: &Person, path: &str, key: &str, body: &Value) -> Response {
    person.api(Method::POST, path).header("idempotency-key", key).json(body).send().await
}

/// The calls that record something in a session, what they are sent, and how they are answered.
fn recording(id: i64) -> [(String, Value, u16); 3] {
    let felt = json!({ "emotion": "sad", "voice_content": SAID });
    [
        (format!("/sessions/{id}/detections"), json!([felt, felt]), 201),
        (format!("/sessions/{id}/process_emotion"), felt, 200),
        (format!("/sessions/{id}/feedback"), json!({ "comment": SAID, "rating": 4 }), 201),
    ]
}

async fn whatever_is_recorded_under_a_key_is_recorded_once(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    for (path, body, status) in recording(id) {
        let calls = (0..10).map(|_| {
            let (ada, path, body) = (ada.clone(), path.clone(), body.clone());
            async move { keyed(&ada, &path, "one", &body).await.assert_status(status).text }
        });
        let mut answers = concurrently(calls).await;
        let stock = app.row_counts().await;
        answers.push(keyed(&ada, &path, "one", &body).await.assert_status(status).text);
        answers.dedup();
        assert_eq!(answers.len(), 1, "{path}: {answers:?}");
        let other = json!({ "emotion": "x", "voice_content": "", "comment": "", "rating": 1 });
        let other = keyed(&ada, &path, "one", &other).await;
        assert_eq!(other.assert_status(422).kind(), "idempotency-key-reused", "{path}");
        assert_eq!(app.row_counts().await, stock, "{path}");
    }
    assert_eq!((app.row_count("emotion_detections").await, app.row_count("feedback").await), (3, 1));
    ada.delete(&format!("/sessions/{id}")).await.assert_status(200);
    for (path, body, status) in recording(id) {
        keyed(&ada, &path, "one", &body).await.assert_status(status);
    }
    assert_eq!(app.row_count("emotion_detections").await, 0, "it was done once, and stays undone");
}

async fn a_refusal_leaves_the_key_free(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    let path = format!("/sessions/{id}/feedback");
    keyed(&ada, &path, "one", &json!({ "comment": "early", "rating": 1 })).await.assert_status(400);
    assert_eq!(app.row_count("idempotency_keys").await, 0);
    ada.patch(&format!("/sessions/{id}/end")).await.assert_status(200);
    keyed(&ada, &path, "one", &json!({ "comment": "in time", "rating": 5 })).await.assert_status(201);
    keyed(&ada, &path, "two", &json!({ "comment": "again", "rating": 5 })).await.assert_status(400);
    for (path, body, _) in recording(4_000_000) {
        keyed(&ada, &path, "one", &body).await.assert_status(404);
    }
    assert_eq!(app.row_count("idempotency_keys").await, 1);
}

async fn kept_answers_rest_sealed(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.env.forbid_in_log(SAID);
    for (path, body, status) in recording(ada.start_session().await) {
        keyed(&ada, &path, "one", &body).await.assert_status(status);
    }
    let kept = app.texts("SELECT answer FROM idempotency_keys").await;
    assert_eq!(kept.len(), 3);
    assert!(
        kept.iter().all(|response| response.starts_with("sealed:v1:test:") && !response.contains("sleep")),
        "{kept:?}"
    );
}

async fn a_kept_answer_whose_key_is_gone_is_asked_for_in_vain(app: &TestApp) {
    let ada = app.verified("ada").await;
    start(&ada, "one", "{}").await.assert_status(201);
    let app = app.restarted(&[("DATA_KEY", "other:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=")]).await;
    app.allow_failures();
    let ada = ada.using(app.client());
    start(&ada, "one", "{}").await.assert_status(503);
    assert!(logs::contain(&["was sealed with `test`: add that key again"]), "the log says what to do");
    start(&ada, "two", "{}").await.assert_status(201);
    assert_eq!(app.row_count("sessions").await, 2, "nothing was done twice");
    app.stop().await;
}

async fn start(person: &Person, key: &str, body: &str) -> Response {
    person.api(Method::POST, "/sessions/").header("idempotency-key", key).body(body.to_owned()).send().await
}

async fn the_same_key_and_body_get_the_first_answer_again(app: &TestApp) {
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

async fn many_at_once_with_one_key_start_one_session(app: &TestApp) {
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

async fn a_key_is_its_users_own(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let of_ada = start(&ada, "one", "{}").await.assert_status(201);
    let of_bob = start(&bob, "one", "{}").await.assert_status(201);
    assert_ne!(of_ada.json["id"], of_bob.json["id"]);
    let elsewhere = ada.log_in_again().await;
    assert_eq!(start(&elsewhere, "one", "{}").await.assert_status(201).text, of_ada.text, "whichever log-in they use");
}

async fn a_key_is_kept_for_a_day(app: &TestApp) {
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

async fn a_key_outlives_what_it_made(app: &TestApp) {
    let ada = app.verified("ada").await;
    let first = start(&ada, "one", "{}").await.assert_status(201);
    ada.delete(&format!("/sessions/{}", first.number_of("id"))).await.assert_status(200);
    assert_eq!(start(&ada, "one", "{}").await.assert_status(201).text, first.text);
    assert_eq!(app.row_count("sessions").await, 0, "it was done once, and stays undone");
}

async fn a_call_that_was_refused_leaves_no_key(app: &TestApp) {
    let ada = app.verified("ada").await;
    start(&ada, "one", "[]").await.assert_status(422);
    start(&ada, "one", "{").await.assert_status(422);
    start(&ada, "one", "{}").await.assert_status(201);
}

async fn a_bad_key_is_refused_by_name(app: &TestApp) {
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
