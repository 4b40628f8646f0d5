//! `faceofmind keys`: re-encrypts personal texts while the service runs.

use serde_json::{Value, json};

use crate::harness::{Program, TestApp, tests_on_both_profiles};

tests_on_both_profiles! {
    keys_are_rotated_while_the_service_runs with [("DATA_KEY", super::OLD_FIRST)],
    a_rotation_that_is_killed_is_completed_by_the_next with [("DATA_KEY", super::OLD_FIRST)],
    a_missing_key_is_named with [("DATA_KEY", super::OLD_FIRST)],
}

macro_rules! keys {
    ($($id:literal = $first:literal),+) => { concat!($($id, ":", $first, "QEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="),+) };
}
const OLD_FIRST: &str = keys!("old" = "A", ",new" = "B");
const NEW_FIRST: &str = keys!("new" = "B", ",old" = "A");
const NEW: &str = keys!("new" = "B");

fn program(app: &TestApp, keys: &str) -> Program {
    Program::in_env(&app.env, &[("DATA_KEY", keys)])
}

/// The lines of a table, with one space between words.
fn table_lines(output: &str) -> Vec<String> {
    output.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

async fn keys_are_rotated_while_the_service_runs(app: &TestApp) {
    let ada = app.verified("ada").await;
    let session = ada.start_session().await;
    let emotion = json!({ "emotion": "sad", "voice_content": "I could not sleep" });
    let path = format!("/sessions/{session}/process_emotion");
    let process = async || ada.post_with_key(&path, "once", &emotion).await;
    let first = process().await.assert_status(200);
    app.detect(session, app.env.clock.now().to_jiff(), "calm", 1).await;
    app.execute("INSERT INTO voice_data (detection_id, content) SELECT max(id), 'plain words' FROM emotion_detections")
        .await;

    let status = program(app, NEW_FIRST).run(&["keys", "status"], "").await;
    assert_eq!(status.code, Some(0), "{status:?}");
    let lines = table_lines(&status.output);
    for line in ["voice texts (not encrypted) 1", "voice texts old 1", "stored responses old 1"] {
        assert!(lines.iter().any(|printed| printed == line), "{line} is not in {lines:#?}");
    }
    assert!(status.output.contains("keys rotate"), "{status:?}");

    let rotated = program(app, NEW_FIRST).run(&["keys", "rotate"], "").await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    let lines = table_lines(&rotated.output);
    for line in ["voice texts new 2 current key", "stored responses new 1 current key"] {
        assert!(lines.iter().any(|printed| printed == line), "{line} is not in {lines:#?}");
    }
    assert!(!format!("{rotated:?}{status:?}").contains("sleep"), "the output contains no personal text");
    let stored = app.texts("SELECT content FROM voice_data UNION ALL SELECT answer FROM idempotency_keys").await;
    assert!(stored.iter().all(|text| text.starts_with("sealed:v1:new:")), "{stored:?}");

    let said = |history: &Value| {
        let detections = history["emotion_detections"].as_array().expect("a list");
        let mut said: Vec<_> = detections.iter().map(|one| one["voice_data"]["content"].clone()).collect();
        said.sort_by_key(ToString::to_string);
        said
    };
    let path = format!("/sessions/{session}/history");
    assert_eq!(said(&ada.get(&path).await.assert_status(200).json), ["I could not sleep", "plain words"]);
    assert_eq!(process().await.assert_status(200).text, first.text);
    let app = app.restarted(&[("DATA_KEY", NEW)]).await;
    let ada = ada.using(app.client());
    assert_eq!(said(&ada.get(&path).await.assert_status(200).json), ["I could not sleep", "plain words"]);
    app.stop().await;
}

async fn a_rotation_that_is_killed_is_completed_by_the_next(app: &TestApp) {
    const TEXTS: i64 = 8192;
    let ada = app.verified("ada").await;
    let session = ada.start_session().await;
    app.detect(session, app.env.clock.now().to_jiff(), "calm", 1).await;
    for _ in 0..TEXTS.ilog2() {
        app.execute("INSERT INTO emotion_detections (session_id, timestamp) SELECT session_id, timestamp FROM emotion_detections").await;
    }
    app.execute("INSERT INTO voice_data (detection_id, content) SELECT id, 'plain words' FROM emotion_detections")
        .await;

    let mut rotation = program(app, NEW_FIRST).start(&["keys", "rotate"]);
    let line = rotation.line().await;
    rotation.kill().await;
    assert!(line.starts_with("voice texts: 200 read, "), "{line}");
    let encrypted = async || app.number("SELECT count(*) FROM voice_data WHERE content LIKE 'sealed:v1:new:%'").await;
    let before = encrypted().await;
    assert!((200..TEXTS).contains(&before), "{before} were encrypted when the rotation was killed");

    let rest = program(app, NEW_FIRST).run(&["keys", "rotate"], "").await;
    assert_eq!(rest.code, Some(0), "{rest:?}");
    assert_eq!(encrypted().await, TEXTS);
    let plain = app.number("SELECT count(*) FROM voice_data WHERE content LIKE 'plain%'").await;
    assert_eq!(plain, 0);
}

async fn a_missing_key_is_named(app: &TestApp) {
    let ada = app.verified("ada").await;
    let session = ada.start_session().await;
    let emotion = json!({ "emotion": "sad", "voice_content": "I could not sleep" });
    ada.post(&format!("/sessions/{session}/process_emotion"), emotion).await.assert_status(200);
    let rotated = program(app, NEW).run(&["keys", "rotate"], "").await;
    assert_eq!(rotated.code, Some(1), "{rotated:?}");
    assert!(rotated.errors.contains("`old` is missing"), "{rotated:?}");
    assert!(table_lines(&rotated.output).contains(&"voice texts old 1 not in DATA_KEY".to_owned()), "{rotated:?}");
    ada.get(&format!("/sessions/{session}/history")).await.assert_status(200);
}

#[tokio::test]
async fn without_a_database_keys_say_how_to_create_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let environment = [("DATA_DIR", data.to_str().expect("UTF-8"))];
    let exited = Program::with_only(&environment).run(&["keys", "status"], "").await;
    assert!(exited.code == Some(1) && exited.errors.contains("does not exist yet: run"), "{exited:?}");
    assert!(!data.exists(), "the command creates no files");
}

#[tokio::test]
async fn a_missing_key_setting_is_not_generated() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, database) = (folder.path().join("data"), folder.path().join("service.db"));
    std::fs::write(&database, "").expect("written");
    let url = format!("sqlite:{}", database.display());
    let environment = [("DATA_DIR", data.to_str().expect("UTF-8")), ("DATABASE_URL", url.as_str())];
    for action in ["status", "rotate"] {
        let exited = Program::with_only(&environment).run(&["keys", action], "").await;
        assert!(exited.code == Some(1) && exited.errors.contains("DATA_KEY is not given"), "{exited:?}");
        assert!(!data.exists(), "the command creates no files");
    }
}
