//! `/sessions/{id}/history`: everything that was recorded in a session.

use faceofmind_platform::encryption::Keyring;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::harness::{Person, TestApp, eventually, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    a_history_shows_the_session_with_all_that_was_recorded,
    a_session_without_detections_has_a_history,
    detections_are_ordered_by_time,
    a_long_history_is_one_document,
    a_history_that_is_deleted_while_it_is_sent_ends_incomplete,
    a_user_is_sent_eight_long_histories_at_a_time,
    the_history_of_another_user_is_not_found,
    an_invalid_id_is_refused_by_name,
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// A voice text, encrypted like the service does, with the key of all tests.
fn encrypted(detection: i64, said: &str) -> String {
    let keyring = Keyring::new([("test", [1; 32].as_slice())]).expect("a key");
    keyring.encrypt(&format!("voice_data/{detection}"), said).expect("encrypts")
}

/// A session with three detections: one in clear text, as the predecessor stored it, one encrypted, and one without text.
async fn recorded(app: &TestApp) -> (Person, i64) {
    let ada = app.verified("ada").await;
    let session = ada.start_session().await;
    let now = app.env.clock.now().to_jiff();
    let first = app.detect(session, now - MINUTE, "Sad", 1).await;
    let second = app.detect(session, now, "saudade", 1).await;
    for (detection, said, suggested, urls) in [
        (first, "It is quiet.", "- I hear you.\n- Breathe.\n- Call a friend.", "https://b.example,https://a.example"),
        (second, &encrypted(second, "I miss home."), "- That is a long way.\n- Walk.", "https://a.example"),
    ] {
        app.execute_with("INSERT INTO voice_data (detection_id, content) VALUES ($1, $2)", detection, said).await;
        let sql = "INSERT INTO wellness_suggestions (detection_id, suggestion) VALUES ($1, $2)";
        app.execute_with(sql, detection, suggested).await;
        app.execute_with("UPDATE wellness_suggestions SET url = $2 WHERE detection_id = $1", detection, urls).await;
    }
    let stored = app.texts("SELECT content FROM voice_data").await.concat();
    assert!(!stored.contains("home"), "{stored}");
    app.detect(session, now + MINUTE, "calm", 1).await;
    (ada, session)
}

/// Replaces the ids and times that the harness does not.
fn redact(json: &Value) -> Value {
    match json {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match (key.as_str(), value) {
                (_, Value::Null) => (key.clone(), Value::Null),
                ("detection_id" | "session_id", _) => (key.clone(), "[id]".into()),
                ("timestamp", _) => (key.clone(), "[time]".into()),
                _ => (key.clone(), redact(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(redact).collect(),
        other => other.clone(),
    }
}

async fn a_history_shows_the_session_with_all_that_was_recorded(app: &TestApp) {
    let (ada, session) = recorded(app).await;
    ada.patch(&format!("/sessions/{session}/end")).await.assert_status(200);
    let mut history = ada.get(&format!("/sessions/{session}/history")).await.assert_status(200);
    let shape = history.json.clone();
    history.json = redact(&history.json);
    snapshot!(history, @r##"
    200 {
      "emotion_detections": [
        {
          "emotion_color": "#5C6BC0",
          "facial_data": {
            "detection_id": "[id]",
            "emotion": "Sad",
            "id": "[id]"
          },
          "facial_emotion": "Sad",
          "id": "[id]",
          "session_id": "[id]",
          "timestamp": "[time]",
          "voice_data": {
            "content": "It is quiet.",
            "detection_id": "[id]",
            "id": "[id]"
          },
          "wellness_suggestions": {
            "acknowledgment": "I hear you.",
            "detection_id": "[id]",
            "id": "[id]",
            "suggestion": "- I hear you.\n- Breathe.\n- Call a friend.",
            "suggestions": [
              "Breathe.",
              "Call a friend."
            ],
            "url": [
              "https://b.example",
              "https://a.example"
            ]
          }
        },
        {
          "emotion_color": "#9E9E9E",
          "facial_data": {
            "detection_id": "[id]",
            "emotion": "saudade",
            "id": "[id]"
          },
          "facial_emotion": "saudade",
          "id": "[id]",
          "session_id": "[id]",
          "timestamp": "[time]",
          "voice_data": {
            "content": "I miss home.",
            "detection_id": "[id]",
            "id": "[id]"
          },
          "wellness_suggestions": {
            "acknowledgment": "That is a long way.",
            "detection_id": "[id]",
            "id": "[id]",
            "suggestion": "- That is a long way.\n- Walk.",
            "suggestions": [
              "Walk."
            ],
            "url": [
              "https://a.example"
            ]
          }
        },
        {
          "emotion_color": "#80CBC4",
          "facial_data": {
            "detection_id": "[id]",
            "emotion": "calm",
            "id": "[id]"
          },
          "facial_emotion": "calm",
          "id": "[id]",
          "session_id": "[id]",
          "timestamp": "[time]",
          "voice_data": null,
          "wellness_suggestions": null
        }
      ],
      "end_time": "[time]",
      "id": "[id]",
      "relevant_urls": [
        "https://b.example",
        "https://a.example"
      ],
      "start_time": "[time]",
      "truncated": false,
      "user_id": "[id]"
    }
    "##);
    assert_eq!(shape["id"], session);
    for detection in shape["emotion_detections"].as_array().expect("a list") {
        assert_eq!(detection["session_id"], session);
        for part in ["facial_data", "voice_data", "wellness_suggestions"] {
            assert!(detection[part].is_null() || detection[part]["detection_id"] == detection["id"], "{detection}");
        }
    }
}

async fn a_session_without_detections_has_a_history(app: &TestApp) {
    let ada = app.verified("ada").await;
    let session = ada.start_session().await;
    let history = ada.get(&format!("/sessions/{session}/history/")).await.assert_status(200);
    let mut expected = ada.get(&format!("/sessions/{session}")).await.assert_status(200).json;
    expected["emotion_detections"] = json!([]);
    expected["relevant_urls"] = json!([]);
    expected["truncated"] = json!(false);
    assert_eq!(history.json, expected);
}

async fn detections_are_ordered_by_time(app: &TestApp) {
    let ada = app.verified("ada").await;
    let session = ada.start_session().await;
    let now = app.env.clock.now().to_jiff();
    let later = app.detect(session, now, "calm", 1).await;
    let earlier = app.detect(session, now - MINUTE, "sad", 1).await;
    let third = app.detect(session, now, "bored", 1).await;
    let history = ada.get(&format!("/sessions/{session}/history")).await.assert_status(200);
    let ids: Vec<_> =
        history.json["emotion_detections"].as_array().expect("a list").iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [earlier, later, third]);
}

/// Records detections with long voice texts, 9 KB each.
async fn recorded_at_length(app: &TestApp, detections: usize) -> (Person, i64) {
    let ada = app.verified("ada").await;
    let session = ada.start_session().await;
    app.detect(session, app.env.clock.now().to_jiff(), "calm", detections).await;
    let long = "many words".repeat(900);
    app.execute(&format!("INSERT INTO voice_data (detection_id, content) SELECT id, '{long}' FROM emotion_detections"))
        .await;
    (ada, session)
}

async fn a_long_history_is_one_document(app: &TestApp) {
    let (ada, session) = recorded_at_length(app, 600).await;
    let history = ada.get(&format!("/sessions/{session}/history")).await.assert_status(200);
    let mut expected = ada.get(&format!("/sessions/{session}")).await.assert_status(200).json;
    expected["relevant_urls"] = json!([]);
    expected["truncated"] = json!(false);
    let mut read = history.json;
    let detections = read.as_object_mut().expect("an object").remove("emotion_detections").expect("a list");
    assert_eq!(read, expected);
    let detections = detections.as_array().expect("a list");
    let ids: Vec<_> = detections.iter().map(|one| one["id"].as_i64()).collect();
    assert!(ids.len() == 600 && ids.is_sorted(), "{ids:?}");
    assert!(detections.iter().all(|one| one["voice_data"]["content"].as_str().expect("a text").len() == 9000));
}

/// Requests a history and reads the status alone, which is 200. The socket buffers little of the rest.
async fn begin_history(app: &TestApp, person: &Person, session: i64) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 << 10).expect("a small buffer");
    let mut stream = socket.connect(app.address).await.expect("the service listens");
    let (path, token) = (format!("/api/v1/sessions/{session}/history"), &person.access);
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.expect("begins");
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

/// What ends a complete chunked body.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

async fn a_history_that_is_deleted_while_it_is_sent_ends_incomplete(app: &TestApp) {
    let (ada, session) = recorded_at_length(app, 3000).await;
    let mut stream = begin_history(app, &ada, session).await;
    ada.delete(&format!("/sessions/{session}")).await.assert_status(200);
    let mut read = Vec::new();
    // A reset may end it as well.
    drop(stream.read_to_end(&mut read).await);
    assert!(!read.ends_with(LAST_CHUNK), "{} bytes", read.len());
    assert!(read.len() < 3000 * 9000, "{} bytes", read.len());
}

/// An unread history of 7 MB is more than the sockets buffer. It ends after a pause of 10 s, so everything is prepared before.
async fn a_user_is_sent_eight_long_histories_at_a_time(app: &TestApp) {
    let (ada, unread) = recorded_at_length(app, 800).await;
    let bob = app.verified("bob").await;
    let [of_ada, short, of_bob] = [ada.start_session().await, ada.start_session().await, bob.start_session().await];
    for (session, detections) in [(of_ada, 257), (short, 256), (of_bob, 257)] {
        app.detect(session, app.env.clock.now().to_jiff(), "calm", detections).await;
    }
    let status = async |person: &Person, session: i64| person.get(&format!("/sessions/{session}/history")).await.status;
    let next_is_sent = async || (status(&ada, of_ada).await == 200).then_some(());
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(begin_history(app, &ada, unread).await);
    }
    let refused = ada.get(&format!("/sessions/{of_ada}/history")).await.assert_status(429);
    assert_eq!(refused.kind(), "too-many-waiting");
    assert_eq!((status(&bob, of_bob).await, status(&ada, short).await), (200, 200), "of others, and in one page");
    open.pop();
    eventually("a reader that leaves makes its place free", next_is_sent).await;

    open.push(begin_history(app, &ada, unread).await);
    assert_eq!(status(&ada, of_ada).await, 429);
    let mut read = Vec::new();
    open[0].read_to_end(&mut read).await.expect("the rest");
    assert!(read.ends_with(LAST_CHUNK) && read.len() > 800 * 9000, "{} bytes", read.len());
    eventually("a history that is sent makes its place free", next_is_sent).await;
}

async fn the_history_of_another_user_is_not_found(app: &TestApp) {
    let (ada, session) = recorded(app).await;
    let (path, unknown) = (format!("/sessions/{session}/history"), "/sessions/4000000/history");
    for other in [app.verified("eve").await, app.admin().await] {
        let refused = other.get(&path).await.assert_status(404);
        assert_eq!(
            refused.redacted(),
            other.get(unknown).await.assert_status(404).redacted(),
            "its existence is private"
        );
    }
    app.client().get(&path).await.assert_status(401);
    ada.get(&path).await.assert_status(200);
}

async fn an_invalid_id_is_refused_by_name(app: &TestApp) {
    let ada = app.verified("ada").await;
    for id in ["abc", "0", "-1", "9223372036854775808", "1%00"] {
        assert_eq!(
            ada.get(&format!("/sessions/{id}/history")).await.assert_status(422).invalid_fields(),
            ["path.id"],
            "{id}"
        );
    }
}
