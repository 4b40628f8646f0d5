//! `GET /users/me/export`

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, interval},
};

use crate::harness::{Person, TestApp, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    everything_held_about_a_user_is_exported_and_nothing_else,
    an_export_is_a_file_of_ones_own,
    an_export_that_fails_halfway_breaks_off,
    an_export_may_take_longer_than_a_request with [("REQUEST_TIMEOUT_SECONDS", "1")],
}

const EXPORT: &str = "/users/me/export";

/// A session with all that a session may hold, and its id.
async fn life(person: &Person, words: &str) -> i64 {
    let id = person.start_session().await;
    let streamed = json!([{ "emotion": format!("Calm as {words}"), "confidence": 0.75 }]);
    person.post(&format!("/sessions/{id}/detections"), streamed).await.assert_status(201);
    let felt = json!({ "emotion": "sad", "voice_content": format!("I said {words}") });
    person.post(&format!("/sessions/{id}/process_emotion"), felt).await.assert_status(200);
    let post = json!({ "content": format!("I wrote {words}") });
    let post = person.post("/posts/", post).await.assert_status(201).number_of("id");
    let comment = json!({ "content": format!("I answered {words}") });
    person.post(&format!("/posts/{post}/comments"), comment).await.assert_status(201);
    let reminder = json!({ "title": format!("Think of {words}"), "description": "", "reminder_time": "2031-05-06" });
    person.post("/reminders/", reminder).await.assert_status(201);
    let rating = json!({ "comment": format!("It helped, {words}"), "rating": 4 });
    person.post(&format!("/sessions/{id}/feedback"), rating).await.assert_status(201);
    id
}

async fn everything_held_about_a_user_is_exported_and_nothing_else(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    ada.put(&format!("/users/{}", ada.id), json!({ "time_zone": "Europe/Berlin", "language": "fil" }))
        .await
        .assert_status(200);
    let session = life(&ada, "an own word").await;
    life(&bob, "somebody else's").await;
    let stored = app.texts("SELECT content FROM voice_data").await;
    assert!(stored.iter().all(|text| text.starts_with("sealed:")), "{stored:?}");

    let export = ada.get(EXPORT).await.assert_status(200);
    let told = &export.json;
    for (field, value) in [
        ("id", json!(ada.id)),
        ("email", json!(ada.email)),
        ("first_name", json!("Ada")),
        ("last_name", json!("Lovelace")),
        ("role", json!("user")),
        ("status", json!("active")),
        ("time_zone", json!("Europe/Berlin")),
        ("language", json!("fil")),
    ] {
        assert_eq!(told["user"][field], value, "{field}");
    }
    let login = &told["logins"][0];
    assert_eq!((&login["address"], &login["ended_at"]), (&json!(ada.client.ip), &json!(null)));
    let sitting = &told["sessions"][0];
    assert_eq!((&sitting["id"], sitting["end_time"].is_string()), (&json!(session), true));
    assert_eq!(sitting["feedback"][0]["comment"], "It helped, an own word");
    let [streamed, processed] = told["emotion_detections"].as_array().expect("a list").as_slice() else {
        panic!("two were detected: {}", export.text)
    };
    assert_eq!((&streamed["session_id"], &streamed["confidence"]), (&json!(session), &json!(0.75)));
    assert_eq!(streamed["facial_data"][0]["emotion"], "Calm as an own word");
    assert_eq!(processed["voice_data"][0]["content"], "I said an own word");
    assert_eq!(processed["wellness_suggestions"].as_array().map(Vec::len), Some(1));
    assert_eq!(told["community_posts"][0]["content"], "I wrote an own word");
    assert_eq!(told["community_comments"][0]["content"], "I answered an own word");
    let reminder = &told["reminders"][0];
    assert_eq!(
        (&reminder["title"], &reminder["reminder_time"]),
        (&json!("Think of an own word"), &json!("2031-05-06"))
    );
    assert!(told["left_out"].as_array().is_some_and(|list| !list.is_empty()));

    let secrets = app.texts("SELECT password FROM users").await;
    let others = [&bob.email, &"somebody else's".to_owned(), &ada.access, &ada.refresh, &ada.password];
    for absent in secrets.iter().chain(others) {
        assert!(!export.text.contains(absent.as_str()), "it tells {absent}");
    }
    for list in ["sessions", "emotion_detections", "logins"] {
        let before = told[list].as_array().map(Vec::len);
        assert_eq!(bob.get(EXPORT).await.assert_status(200).json[list].as_array().map(Vec::len), before, "{list}");
    }
}

async fn an_export_is_a_file_of_ones_own(app: &TestApp) {
    let ada = app.verified("ada").await;
    let export = ada.get(EXPORT).await.assert_status(200);
    assert_eq!(export.header("content-disposition"), "attachment; filename=\"faceofmind-export.json\"");
    assert_eq!(export.header("cache-control"), "no-store");
    let refused = app.client().get(EXPORT).await;
    snapshot!(refused, @r#"
    401 {
      "detail": "Not authenticated",
      "request_id": "[request id]",
      "status": 401,
      "title": "Unauthorized",
      "type": "/problems/unauthorized"
    }
    "#);
    ada.api(Method::HEAD, EXPORT).send().await.assert_status(200);
}

fn request(person: &Person, more: &str) -> Vec<u8> {
    let head = format!(
        "GET /api/v1{EXPORT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n{more}\r\n",
        person.access
    );
    head.into_bytes()
}

/// How a chunked body ends that is whole (RFC 9112 §7.1).
const WHOLE: &str = "\r\n0\r\n\r\n";

async fn an_export_that_fails_halfway_breaks_off(app: &TestApp) {
    let ada = app.verified("ada").await;
    life(&ada, "an own word").await;
    let whole = app.raw(&request(&ada, "")).await;
    assert!(whole.starts_with("HTTP/1.1 200") && whole.ends_with(WHOLE), "{whole}");
    app.execute("ALTER TABLE wellness_suggestions RENAME TO gone").await;
    for more in ["", "accept-encoding: gzip\r\n"] {
        let broken = app.raw(&request(&ada, more)).await;
        assert!(!broken.ends_with(WHOLE) && !broken.contains("left_out"), "{broken}");
    }
    app.execute("ALTER TABLE gone RENAME TO wellness_suggestions").await;
    assert!(app.raw(&request(&ada, "")).await.ends_with(WHOLE), "it may be begun anew");
}

/// A reader at its own pace, of much that was said, until more time has passed than a request may take.
async fn an_export_may_take_longer_than_a_request(app: &TestApp) {
    const DETECTIONS: usize = 1500;
    let ada = app.verified("ada").await;
    let session = ada.start_session().await;
    app.detect(session, app.env.clock.now().to_jiff(), "calm", DETECTIONS).await;
    let long = "many words ".repeat(900);
    app.execute(&format!("INSERT INTO voice_data (detection_id, content) SELECT id, '{long}' FROM emotion_detections"))
        .await;
    let mut stream = TcpStream::connect(app.address).await.expect("it listens");
    stream.write_all(&request(&ada, "")).await.expect("written");
    let (began, mut pace) = (Instant::now(), interval(Duration::from_millis(5)));
    let (mut read, mut piece) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        if began.elapsed() < Duration::from_millis(1500) {
            pace.tick().await;
        }
        let length = stream.read(&mut piece).await.expect("readable");
        if length == 0 {
            break;
        }
        read.extend_from_slice(&piece[..length]);
    }
    let read = String::from_utf8_lossy(&read);
    assert!(began.elapsed() > Duration::from_secs(1), "it was read faster than this story needs");
    assert!(read.ends_with(WHOLE), "it broke off after {} bytes", read.len());
    assert!(read.len() > DETECTIONS * long.len());
}
