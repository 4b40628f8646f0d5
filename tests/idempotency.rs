//! `Idempotency-Key`: the same call sent twice is done once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Person, TestApp, at_once, logs, stories};

stories! {
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

async fn keyed(person: &Person, path: &str, key: &str, body: &Value) -> Answer {
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
    let id = ada.open_session().await;
    for (path, body, status) in recording(id) {
        let calls = (0..10).map(|_| {
            let (ada, path, body) = (ada.clone(), path.clone(), body.clone());
            async move { keyed(&ada, &path, "one", &body).await.is(status).text }
        });
        let mut answers = at_once(calls).await;
        let stock = app.stock().await;
        answers.push(keyed(&ada, &path, "one", &body).await.is(status).text);
        answers.dedup();
        assert_eq!(answers.len(), 1, "{path}: {answers:?}");
        let other = json!({ "emotion": "x", "voice_content": "", "comment": "", "rating": 1 });
        let other = keyed(&ada, &path, "one", &other).await;
        assert_eq!(other.is(422).kind(), "idempotency-key-reused", "{path}");
        assert_eq!(app.stock().await, stock, "{path}");
    }
    assert_eq!((app.rows("emotion_detections").await, app.rows("feedback").await), (3, 1));
    ada.delete(&format!("/sessions/{id}")).await.is(200);
    for (path, body, status) in recording(id) {
        keyed(&ada, &path, "one", &body).await.is(status);
    }
    assert_eq!(app.rows("emotion_detections").await, 0, "it was done once, and stays undone");
}

async fn a_refusal_leaves_the_key_free(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.open_session().await;
    let path = format!("/sessions/{id}/feedback");
    keyed(&ada, &path, "one", &json!({ "comment": "early", "rating": 1 })).await.is(400);
    assert_eq!(app.rows("idempotency_keys").await, 0);
    ada.patch(&format!("/sessions/{id}/end")).await.is(200);
    keyed(&ada, &path, "one", &json!({ "comment": "in time", "rating": 5 })).await.is(201);
    keyed(&ada, &path, "two", &json!({ "comment": "again", "rating": 5 })).await.is(400);
    for (path, body, _) in recording(4_000_000) {
        keyed(&ada, &path, "one", &body).await.is(404);
    }
    assert_eq!(app.rows("idempotency_keys").await, 1);
}

async fn kept_answers_rest_sealed(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.ground.keep_secret(SAID);
    for (path, body, status) in recording(ada.open_session().await) {
        keyed(&ada, &path, "one", &body).await.is(status);
    }
    let kept = app.texts("SELECT answer FROM idempotency_keys").await;
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().all(|answer| answer.starts_with("sealed:v1:story:") && !answer.contains("sleep")), "{kept:?}");
}

async fn a_kept_answer_whose_key_is_gone_is_asked_for_in_vain(app: &TestApp) {
    let ada = app.verified("ada").await;
    start(&ada, "one", "{}").await.is(201);
    let app = app.restarted(&[("DATA_KEY", "other:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=")]).await;
    app.expect_failures();
    let ada = ada.from(app.client());
    start(&ada, "one", "{}").await.is(500);
    assert!(logs::tell(&["was encrypted with `story`: add that key to DATA_KEY again"]), "the log says what to do");
    start(&ada, "two", "{}").await.is(201);
    assert_eq!(app.rows("sessions").await, 2, "nothing was done twice");
    app.stop().await;
}

async fn start(person: &Person, key: &str, body: &str) -> Answer {
    person.api(Method::POST, "/sessions/").header("idempotency-key", key).body(body.to_owned()).send().await
}

async fn the_same_key_and_body_get_the_first_answer_again(app: &TestApp) {
    let ada = app.verified("ada").await;
    let first = start(&ada, "one", "{}").await.is(201);
    app.advance(1);
    let again = start(&ada, "one", "{}").await.is(201);
    assert_eq!(again.text, first.text);
    let without_slash = ada.api(Method::POST, "/sessions").header("idempotency-key", "one").body("{}").send().await;
    assert_eq!(without_slash.is(201).text, first.text);
    let other = start(&ada, "two", "{}").await.is(201);
    assert_ne!(other.json["id"], first.json["id"]);
    ada.post("/sessions/", json!({})).await.is(201);
    assert_eq!(app.rows("sessions").await, 3);
    let names = ["user.registered", "user.verified", "session.started", "session.started", "session.started"];
    app.events_of(ada.id, &names).await;
}

async fn the_same_key_with_another_body_is_refused(app: &TestApp) {
    let ada = app.verified("ada").await;
    start(&ada, "one", "{}").await.is(201);
    let refused = start(&ada, "one", r#"{"mood":"other"}"#).await.is(422);
    assert_eq!(refused.kind(), "idempotency-key-reused");
    assert_eq!(app.rows("sessions").await, 1);
}

async fn many_at_once_with_one_key_start_one_session(app: &TestApp) {
    let ada = app.verified("ada").await;
    let calls = (0..20).map(|_| {
        let ada = ada.clone();
        async move { start(&ada, "one", "{}").await.is(201).text }
    });
    let mut answers = at_once(calls).await;
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(app.rows("sessions").await, 1);
}

async fn a_key_is_its_users_own(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let of_ada = start(&ada, "one", "{}").await.is(201);
    let of_bob = start(&bob, "one", "{}").await.is(201);
    assert_ne!(of_ada.json["id"], of_bob.json["id"]);
    let elsewhere = ada.logged_in().await;
    assert_eq!(start(&elsewhere, "one", "{}").await.is(201).text, of_ada.text, "whichever log-in they use");
}

async fn a_key_is_kept_for_a_day(app: &TestApp) {
    let ada = app.verified("ada").await;
    let first = start(&ada, "one", "{}").await.is(201);
    app.advance(23 * 60);
    let ada = ada.logged_in().await;
    assert_eq!(start(&ada, "one", "{}").await.is(201).text, first.text);
    app.advance(61);
    let ada = ada.logged_in().await;
    assert_ne!(start(&ada, "one", r#"{"x":1}"#).await.is(201).json["id"], first.json["id"]);
}

async fn a_key_survives_a_restart(app: &TestApp) {
    let ada = app.verified("ada").await;
    let first = start(&ada, "one", "{}").await.is(201);
    let app = app.restarted(&[]).await;
    assert_eq!(start(&ada.from(app.client()), "one", "{}").await.is(201).text, first.text);
    app.stop().await;
}

async fn a_key_outlives_what_it_made(app: &TestApp) {
    let ada = app.verified("ada").await;
    let first = start(&ada, "one", "{}").await.is(201);
    ada.delete(&format!("/sessions/{}", first.number_of("id"))).await.is(200);
    assert_eq!(start(&ada, "one", "{}").await.is(201).text, first.text);
    assert_eq!(app.rows("sessions").await, 0, "it was done once, and stays undone");
}

async fn a_call_that_was_refused_leaves_no_key(app: &TestApp) {
    let ada = app.verified("ada").await;
    start(&ada, "one", "[]").await.is(422);
    start(&ada, "one", "{").await.is(422);
    start(&ada, "one", "{}").await.is(201);
}

async fn a_bad_key_is_refused_by_name(app: &TestApp) {
    let ada = app.verified("ada").await;
    for key in ["", &"k".repeat(256), "a\tb"] {
        let bad = start(&ada, key, "{}").await.is(422);
        assert_eq!(bad.refused(), ["header.Idempotency-Key"], "{key}");
    }
    start(&ada, &"k".repeat(255), "{}").await.is(201);
    start(&ada, " ~ any printable ~ !", "{}").await.is(201);
    assert_eq!(app.rows("sessions").await, 2);
}

async fn anonymous_calls_ignore_keys(app: &TestApp) {
    let (ada, bob) = (app.person("ada"), app.person("bob"));
    for person in [&ada, &bob, &ada] {
        let call = person.client.api(Method::POST, "/auth/register").header("idempotency-key", "one");
        call.json(&person.registration()).send().await.is(201);
    }
    assert_eq!(app.rows("users").await, 2);
    assert_eq!(app.rows("idempotency_keys").await, 0);
}
