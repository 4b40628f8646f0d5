//! `faceofmind keys`: personal texts are sealed anew beside a service at work.

use serde_json::{Value, json};

use crate::harness::{Program, TestApp, stories};

stories! {
    keys_are_changed_beside_a_service_at_work with [("DATA_KEY", super::OLD_FIRST)],
    a_rotation_that_is_killed_is_completed_by_the_next with [("DATA_KEY", super::OLD_FIRST)],
    a_key_that_is_missing_is_named with [("DATA_KEY", super::OLD_FIRST)],
}

macro_rules! keys {
    ($($id:literal = $letter:literal),+) => { concat!($($id, ":", $letter, "QEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="),+) };
}
const OLD_FIRST: &str = keys!("old" = "A", ",new" = "B");
const NEW_FIRST: &str = keys!("new" = "B", ",old" = "A");
const NEW: &str = keys!("new" = "B");

fn program(app: &TestApp, keys: &str) -> Program {
    Program::node(&app.ground, &[("DATA_KEY", keys)])
}

/// The lines of a table, word by word.
fn words(output: &str) -> Vec<String> {
    output.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

async fn keys_are_changed_beside_a_service_at_work(app: &TestApp) {
    let ada = app.verified("ada").await;
    let session = ada.open_session().await;
    let felt = json!({ "emotion": "sad", "voice_content": "I could not sleep" });
    let process = || {
        let path = format!("/sessions/{session}/process_emotion");
        ada.api(reqwest::Method::POST, &path).header("idempotency-key", "once").json(&felt)
    };
    let first = process().send().await.is(200);
    app.detect(session, app.ground.clock.now().to_jiff(), "calm", 1).await;
    app.alter("INSERT INTO voice_data (detection_id, content) SELECT max(id), 'plain words' FROM emotion_detections")
        .await;

    let status = program(app, NEW_FIRST).run(&["keys", "status"], "").await;
    assert_eq!(status.code, Some(0), "{status:?}");
    let told = words(&status.output);
    for line in ["voice texts (not encrypted) 1", "voice texts old 1", "kept answers old 1"] {
        assert!(told.iter().any(|told| told == line), "{line} is not in {told:#?}");
    }
    assert!(status.output.contains("keys rotate"), "{status:?}");

    let rotated = program(app, NEW_FIRST).run(&["keys", "rotate"], "").await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    let told = words(&rotated.output);
    for line in ["voice texts new 2 current key", "kept answers new 1 current key"] {
        assert!(told.iter().any(|told| told == line), "{line} is not in {told:#?}");
    }
    assert!(!format!("{rotated:?}{status:?}").contains("sleep"), "nobody's words are told");
    let stored = app.texts("SELECT content FROM voice_data UNION ALL SELECT answer FROM idempotency_keys").await;
    assert!(stored.iter().all(|text| text.starts_with("sealed:v1:new:")), "{stored:?}");

    let said = |history: &Value| {
        let detections = history["emotion_detections"].as_array().expect("a list");
        let mut said: Vec<_> = detections.iter().map(|one| one["voice_data"]["content"].clone()).collect();
        said.sort_by_key(ToString::to_string);
        said
    };
    let path = format!("/sessions/{session}/history");
    assert_eq!(said(&ada.get(&path).await.is(200).json), ["I could not sleep", "plain words"]);
    assert_eq!(process().send().await.is(200).text, first.text);
    let app = app.restarted(&[("DATA_KEY", NEW)]).await;
    let ada = ada.from(app.client());
    assert_eq!(said(&ada.get(&path).await.is(200).json), ["I could not sleep", "plain words"]);
    app.stop().await;
}

async fn a_rotation_that_is_killed_is_completed_by_the_next(app: &TestApp) {
    const TEXTS: i64 = 8192;
    let ada = app.verified("ada").await;
    let session = ada.open_session().await;
    app.detect(session, app.ground.clock.now().to_jiff(), "calm", 1).await;
    for _ in 0..TEXTS.ilog2() {
        app.alter("INSERT INTO emotion_detections (session_id, timestamp) SELECT session_id, timestamp FROM emotion_detections").await;
    }
    app.alter("INSERT INTO voice_data (detection_id, content) SELECT id, 'plain words' FROM emotion_detections").await;

    let line = program(app, NEW_FIRST).killed_after_a_line(&["keys", "rotate"]).await;
    assert!(line.starts_with("voice texts: 200 read"), "{line}");
    let sealed = async || app.number("SELECT count(*) FROM voice_data WHERE content LIKE 'sealed:v1:new:%'").await;
    let before = sealed().await;
    assert!((200..TEXTS).contains(&before), "{before} were sealed when it was killed");

    let rest = program(app, NEW_FIRST).run(&["keys", "rotate"], "").await;
    assert_eq!(rest.code, Some(0), "{rest:?}");
    assert_eq!(sealed().await, TEXTS);
    let plain = app.number("SELECT count(*) FROM voice_data WHERE content LIKE '%plain%'").await;
    assert_eq!(plain, 0);
}

async fn a_key_that_is_missing_is_named(app: &TestApp) {
    let ada = app.verified("ada").await;
    let session = ada.open_session().await;
    let felt = json!({ "emotion": "sad", "voice_content": "I could not sleep" });
    ada.post(&format!("/sessions/{session}/process_emotion"), felt).await.is(200);
    let rotated = program(app, NEW).run(&["keys", "rotate"], "").await;
    assert_eq!(rotated.code, Some(1), "{rotated:?}");
    assert!(rotated.errors.contains("`old` is missing"), "{rotated:?}");
    assert!(words(&rotated.output).contains(&"voice texts old 1 not in DATA_KEY".to_owned()), "{rotated:?}");
    ada.get(&format!("/sessions/{session}/history")).await.is(200);
}

#[test]
fn where_nothing_is_stored_yet_there_is_no_key_to_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let environment = [("DATA_DIR", data.to_str().expect("UTF-8"))];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread");
    let left = runtime.block_on(Program::with(&environment).run(&["keys", "status"], ""));
    assert!(left.code == Some(0) && left.output.contains("does not exist yet"), "{left:?}");
    assert!(!data.exists(), "it touches nothing");
}

#[test]
fn a_key_that_is_not_given_is_not_made_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, database) = (folder.path().join("data"), folder.path().join("service.db"));
    std::fs::write(&database, "").expect("written");
    let url = format!("sqlite:{}", database.display());
    let environment = [("DATA_DIR", data.to_str().expect("UTF-8")), ("DATABASE_URL", url.as_str())];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread");
    for action in ["status", "rotate"] {
        let left = runtime.block_on(Program::with(&environment).run(&["keys", action], ""));
        assert!(left.code == Some(1) && left.errors.contains("DATA_KEY is not given"), "{left:?}");
        assert!(!data.exists(), "it touches nothing");
    }
}
