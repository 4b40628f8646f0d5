//! `GET /users/me/export`

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, interval},
};

use super::{fill_other_tables, record_everything, user_tables};
use crate::harness::{Person, TestApp, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    an_export_holds_everything_about_its_user_and_nothing_else,
    an_export_holds_or_names_every_column_of_its_user,
    an_export_is_a_download_of_the_callers_own_data,
    an_export_that_fails_halfway_ends_incomplete,
    an_export_may_take_longer_than_a_request with [("REQUEST_TIMEOUT_SECONDS", "2")],
}

const EXPORT: &str = "/users/me/export";

/// Where the export holds the first row of a table, unless it is the first of the array with the table's name.
const EXPORTED: [(&str, &str); 9] = [
    ("users", "/user"),
    ("user_profiles", "/user"),
    ("claim_languages", "/claims/0"),
    ("feedback", "/sessions/0/feedback/0"),
    ("detection_details", "/emotion_detections/0"),
    ("facial_data", "/emotion_detections/0/facial_data/0"),
    ("voice_data", "/emotion_detections/1/voice_data/0"),
    ("wellness_suggestions", "/emotion_detections/1/wellness_suggestions/0"),
    ("reminder_schedules", "/reminders/0"),
];

/// The tables and columns that the export omits, with a text by which `left_out` names them.
const OMITTED: [(&str, &str); 12] = [
    ("emotion_counts", "counts of emotions"),
    ("uncounted_sessions", "counts of emotions"),
    ("comment_counts", "comments"),
    ("session_suggestions", "lists of suggestions"),
    ("events", "events"),
    ("idempotency_keys", "Idempotency-Key"),
    ("mail_intents", "mails"),
    ("users.password", "password's hash"),
    ("claims.password", "password's hash"),
    ("logins.generation", "tokens"),
    ("logins.proven_generation", "tokens"),
    ("logins.rotated_at", "tokens"),
];

/// Reads the schema from the database. Every column of a table of a user must be in the export, unless `left_out` names
/// it; a foreign key may be expressed by nesting.
async fn an_export_holds_or_names_every_column_of_its_user(app: &TestApp) {
    let ada = app.verified("ada").await;
    record_everything(&ada, "word", 1, 1).await;
    fill_other_tables(app, &ada, "word").await;
    let export = ada.get(EXPORT).await.assert_status(200).json;
    let left_out = export["left_out"].to_string();
    let is_omitted = |name: &str| OMITTED.iter().any(|(omitted, text)| *omitted == name && left_out.contains(text));
    let schema = app.schema().await;
    for (table, condition) in user_tables(app, ada.id).await {
        if is_omitted(&table) {
            continue;
        }
        let listed = EXPORTED.iter().find(|(name, _)| *name == table).map(|(_, pointer)| (*pointer).to_owned());
        let pointer = listed.unwrap_or_else(|| format!("/{table}/0"));
        let row = export.pointer(&pointer);
        let row = row.unwrap_or_else(|| panic!("{table}: the export neither holds {pointer} nor names it as omitted"));
        for column in schema[&table].columns.iter().filter(|column| !schema[&table].is_foreign_key(column)) {
            let sql = format!("SELECT count({column}) FROM {table} WHERE {condition}");
            let is_held = match row.get(column) {
                None => false,
                Some(value) => !value.is_null() || app.number(&sql).await == 0,
            };
            let name = format!("{table}.{column}");
            assert!(
                is_held || is_omitted(&name),
                "{name}: the export neither holds it nor names it as omitted: {row:#}"
            );
        }
    }
}

async fn an_export_holds_everything_about_its_user_and_nothing_else(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    ada.put(&format!("/users/{}", ada.id), json!({ "time_zone": "Europe/Berlin", "language": "fil" }))
        .await
        .assert_status(200);
    let session = record_everything(&ada, "own", 1, 1).await;
    record_everything(&bob, "foreign", 1, 1).await;
    let stored = app.texts("SELECT content FROM voice_data").await;
    assert!(stored.iter().all(|text| text.starts_with("sealed:v1:")), "{stored:?}");

    let response = ada.get(EXPORT).await.assert_status(200);
    let export = &response.json;
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
        assert_eq!(export["user"][field], value, "{field}");
    }
    let login = &export["logins"][0];
    assert_eq!((&login["address"], &login["ended_at"]), (&json!(ada.client.ip), &json!(null)));
    let exported = &export["sessions"][0];
    assert_eq!((&exported["id"], exported["end_time"].is_string()), (&json!(session), true));
    assert_eq!(exported["feedback"][0]["comment"], "own rated ");
    let [first, processed] = export["emotion_detections"].as_array().expect("a list").as_slice() else {
        panic!("not two detections: {}", response.text)
    };
    assert_eq!((&first["session_id"], &first["confidence"]), (&json!(session), &json!(0.75)));
    assert_eq!(first["facial_data"][0]["emotion"], "own 0");
    assert_eq!(processed["voice_data"][0]["content"], "own said ");
    assert_eq!(processed["wellness_suggestions"].as_array().map(Vec::len), Some(1));
    assert_eq!(export["community_posts"][0]["content"], "own wrote ");
    assert_eq!(export["community_comments"][0]["content"], "own commented ");
    let reminder = &export["reminders"][0];
    assert_eq!((&reminder["title"], &reminder["reminder_time"]), (&json!("own title"), &json!("2031-05-06")));
    assert!(export["left_out"].as_array().is_some_and(|list| !list.is_empty()));

    let secrets = app.texts("SELECT password FROM users").await;
    let others = [&bob.email, &"foreign".to_owned(), &ada.access, &ada.refresh, &ada.password];
    for absent in secrets.iter().chain(others) {
        assert!(!response.text.contains(absent.as_str()), "the export contains {absent}");
    }
    let of_bob = bob.get(EXPORT).await.assert_status(200).json;
    for list in ["sessions", "emotion_detections", "logins"] {
        assert_eq!(of_bob[list].as_array().map(Vec::len), export[list].as_array().map(Vec::len), "{list}");
    }
}

async fn an_export_is_a_download_of_the_callers_own_data(app: &TestApp) {
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

/// The end of a complete chunked body (RFC 9112 §7.1).
const BODY_END: &str = "\r\n0\r\n\r\n";

async fn an_export_that_fails_halfway_ends_incomplete(app: &TestApp) {
    let ada = app.verified("ada").await;
    record_everything(&ada, "own", 1, 1).await;
    let complete = app.raw(&request(&ada, "")).await;
    assert!(complete.starts_with("HTTP/1.1 200") && complete.ends_with(BODY_END), "{complete}");
    app.execute("ALTER TABLE wellness_suggestions RENAME TO gone").await;
    for more in ["", "accept-encoding: gzip\r\n"] {
        let broken = app.raw(&request(&ada, more)).await;
        assert!(!broken.ends_with(BODY_END) && !broken.contains("left_out"), "{broken}");
    }
    app.execute("ALTER TABLE gone RENAME TO wellness_suggestions").await;
    assert!(app.raw(&request(&ada, "")).await.ends_with(BODY_END), "a new export succeeds");
}

/// A client reads a long export slowly, so that it takes longer than the timeout of a request.
async fn an_export_may_take_longer_than_a_request(app: &TestApp) {
    const DETECTIONS: usize = 1500;
    let ada = app.verified("ada").await;
    let session = ada.start_session().await;
    app.detect(session, app.env.clock.now().to_jiff(), "calm", DETECTIONS).await;
    let long = "many words ".repeat(900);
    app.execute(&format!("INSERT INTO voice_data (detection_id, content) SELECT id, '{long}' FROM emotion_detections"))
        .await;
    let mut stream = TcpStream::connect(app.address).await.expect("the service listens");
    stream.write_all(&request(&ada, "")).await.expect("written");
    let (began, mut pace) = (Instant::now(), interval(Duration::from_millis(5)));
    let (mut read, mut piece) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        if began.elapsed() < Duration::from_millis(2500) {
            pace.tick().await;
        }
        let length = stream.read(&mut piece).await.expect("readable");
        if length == 0 {
            break;
        }
        if read.is_empty() {
            ada.get(EXPORT).await.assert_status(429);
            ada.api(Method::HEAD, EXPORT).send().await.assert_status(200);
        }
        read.extend_from_slice(&piece[..length]);
    }
    let read = String::from_utf8_lossy(&read);
    assert!(began.elapsed() > Duration::from_secs(2), "the client read too fast for this test");
    assert!(read.ends_with(BODY_END), "the export ended after {} bytes", read.len());
    assert!(read.len() > DETECTIONS * long.len());
}
