//! Sessions, encrypted texts, stored responses, export and erasure of what the earlier version stored.

use std::fs;

use serde_json::{Value, json};

use super::{Upgraded, fixture, keyed};
use crate::harness::{Program, RECORDED, TestApp, eventually, tests_on_both_profiles};

tests_on_both_profiles! {
    a_stored_response_is_replayed_byte_for_byte,
    what_was_said_is_still_read,
    what_was_detected_is_counted,
    keys_are_rotated,
    an_export_is_what_it_was,
    an_erasure_takes_all_that_was_stored_before,
}

async fn a_stored_response_is_replayed_byte_for_byte(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let ada = upgraded.person("ada");
    upgraded.app.wait_until_published().await;
    let stock = upgraded.app.row_counts().await;
    let responses = upgraded.known["responses"].as_array().expect("a list");
    assert_eq!(responses.len(), 9, "each creating call is there, some of them under both keys");
    for response in responses {
        let text = |field: &str| response[field].as_str().expect("a text");
        let (path, key, body) = (text("path"), text("key"), &response["body"]);
        let replayed = keyed(&ada, path, key, body).await;
        assert_eq!(
            (json!(replayed.status), replayed.text.as_str()),
            (response["status"].clone(), text("text")),
            "{path}"
        );
        let refused = keyed(&ada, path, key, &another(body)).await.assert_status(422);
        assert_eq!(refused.kind(), "idempotency-key-reused", "{path}");
    }
    assert_eq!(upgraded.app.row_counts().await, stock);
    upgraded.end().await;
}

/// A valid body that differs from this one.
fn another(body: &Value) -> Value {
    let mut body = body.clone();
    match &mut body {
        Value::Array(items) => items.push(items[0].clone()),
        one => one["besides"] = json!(1),
    }
    body
}

async fn expect_histories(upgraded: &Upgraded, app: &TestApp) {
    let ada = upgraded.person("ada");
    let ada = ada.using(app.client_from(&ada.client.ip));
    for history in upgraded.known["histories"].as_array().expect("a list") {
        let read = ada.get(&format!("/sessions/{}/history", history[0])).await.assert_status(200);
        assert_eq!(read.text, history[1]);
    }
}

async fn what_was_said_is_still_read(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    expect_histories(&upgraded, &upgraded.app).await;
    upgraded.end().await;
}

/// The counts of emotions are younger than the earlier version.
async fn what_was_detected_is_counted(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let app = &upgraded.app;
    let faces = app.row_count("facial_data").await;
    assert!(faces > 0, "the fixture has detections");
    eventually("they are counted", async || (app.row_count("uncounted_sessions").await == 0).then_some(())).await;
    let counted = app.number("SELECT CAST(sum(detections) AS bigint) FROM emotion_counts").await;
    assert_eq!(counted, faces);
    upgraded.end().await;
}

/// The number of texts that each key encrypted, as `faceofmind keys` lists them: voice texts first, then stored responses.
fn by_key(output: &str) -> Vec<(&str, &str)> {
    let keys = output.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    keys.filter_map(|words| {
        let at = words.iter().position(|word| ["k1", "k2"].contains(word))?;
        Some((words[at], *words.get(at + 1).filter(|number| number.parse::<u32>().is_ok())?))
    })
    .collect()
}

async fn keys_are_rotated(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let program = Program::in_env(&app.env, &fixture::settings());
    let status = program.run(&["keys", "status"], "").await;
    assert_eq!(by_key(&status.output), [("k1", "2"), ("k2", "1"), ("k1", "7"), ("k2", "2")], "{status:?}");
    let rotated = program.run(&["keys", "rotate"], "").await;
    assert_eq!((rotated.code, by_key(&rotated.output)), (Some(0), vec![("k2", "4"), ("k2", "9")]), "{rotated:?}");

    let with_one_key: Vec<_> = fixture::settings()
        .into_iter()
        .map(|(name, value)| (name, if name == "DATA_KEY" { value.split(',').next().expect("a key") } else { value }))
        .collect();
    let later = upgraded.app.restarted(&with_one_key).await;
    expect_histories(&upgraded, &later).await;
    let ada = upgraded.person("ada");
    let ada = ada.using(later.client_from(&ada.client.ip));
    let first = &upgraded.known["responses"][2];
    let replayed = keyed(&ada, first["path"].as_str().expect("a path"), "key 2", &first["body"]).await;
    assert_eq!(replayed.text, first["text"]);
    later.stop().await;
    upgraded.end().await;
}

/// Removes the tables and columns that were added later, as long as nothing of this user is in them.
fn remove_empty_additions(now: &mut Value, before: &Value) {
    match (now, before) {
        (Value::Object(now), Value::Object(before)) => {
            now.retain(|name, value| before.contains_key(name) || !(value.is_null() || *value == json!([])));
            now.iter_mut().filter_map(|(name, now)| Some((now, before.get(name)?))).for_each(|(now, before)| {
                remove_empty_additions(now, before);
            });
        }
        (Value::Array(now), Value::Array(before)) => {
            now.iter_mut().zip(before).for_each(|(now, before)| remove_empty_additions(now, before));
        }
        _ => {}
    }
}

async fn an_export_is_what_it_was(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    for (name, before) in upgraded.known["exports"].as_object().expect("by name") {
        let (mut before, mut now) =
            (before.clone(), upgraded.person(name).get("/users/me/export").await.assert_status(200).json);
        for export in [&mut before, &mut now] {
            // These are no stored data: the time of the export, and our sentences about what is not in it.
            let fields = export.as_object_mut().expect("an object");
            assert!(fields.remove("exported_at").is_some() && fields.remove("left_out").is_some());
        }
        remove_empty_additions(&mut now, &before);
        assert_eq!(now, before, "{name}");
    }
    upgraded.end().await;
}

/// Every session of the fixture is Ada's. Two queued mails to her are due in an hour: one names her id, the other only her address.
async fn an_erasure_takes_all_that_was_stored_before(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let service = &upgraded.app;
    let ada = upgraded.person("ada");
    let waiting = "SELECT id FROM mail_intents WHERE attempts = 13 ORDER BY id";
    let jobs = service.texts(waiting).await;
    let code =
        service.stored_codes().await.into_iter().filter(|code| jobs.iter().any(|job| code.contains(job))).count();
    assert_eq!((jobs.len(), code), (2, 1));
    service.wait_until_published().await;
    ada.post("/users/me/erase", json!({ "current_password": ada.password })).await.assert_status(200);
    for table in RECORDED {
        assert_eq!(service.row_count(table).await, 0, "{table}");
    }
    let others = ["user_profiles", "claims", "address_changes", "logins", "sessions", "community_posts"];
    let more = ["community_comments", "reminders", "mail_intents", "idempotency_keys"];
    for table in others.into_iter().chain(more) {
        let sql = format!("SELECT count(*) FROM {table} WHERE user_id = {}", ada.id);
        assert_eq!(service.number(&sql).await, 0, "{table}");
    }
    assert_eq!(service.texts(waiting).await, [""; 0]);
    assert!(!service.stored_codes().await.iter().any(|code| jobs.iter().any(|job| code.contains(job))));
    let events = service.texts(&format!("SELECT envelope FROM events WHERE user_id = {}", ada.id)).await;
    assert!(events.len() == 1 && events[0].contains("faceofmind.v1.user.deleted"), "{events:?}");
    if service.is_embedded() {
        let mails = fs::read_dir(service.env.data_dir().join("mail")).expect("a folder");
        let names: Vec<_> =
            mails.map(|mail| mail.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        let about = |id: i64| names.iter().any(|name| name.ends_with(&format!(".{id}.eml")));
        assert!(!about(ada.id) && about(upgraded.person("mia").id), "{names:?}");
    }
    upgraded.end().await;
}
