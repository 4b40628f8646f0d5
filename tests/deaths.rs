//! The session tracker dies in the middle of a batch under load: every caller is answered at once, what was answered well is there, and
//! what was not is not half there.

use std::{collections::HashMap, time::Duration};

use faceofmind_actors::session_tracker::{ArmFailPoint, FailPointSite};
use faceofmind_kit::supervisor::State;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{Answer, Person, TestApp, at_once, eventually, stories};

stories! {
    a_tracker_that_dies_in_the_middle_of_a_batch_leaves_nothing_half_done,
}

/// Nobody waits longer for an answer, whatever dies.
const AT_ONCE: Duration = Duration::from_secs(5);
const SITES: [FailPointSite; 4] =
    [FailPointSite::Locked, FailPointSite::DetectionsInserted, FailPointSite::Written, FailPointSite::Committed];

/// What one client was told of one session.
#[derive(Debug)]
struct Life {
    id: i64,
    detected: bool,
    processed: bool,
    rated: bool,
}

/// One session from its start to its feedback, whatever fails in between.
async fn life(person: Person) -> Option<Life> {
    let start = call(&person, "/sessions/".to_owned(), json!({}), &[201, 503]).await;
    let id = start.json["id"].as_i64()?;
    let path = |what: &str| format!("/sessions/{id}/{what}");
    let felt = json!({ "emotion": "happy", "voice_content": "a good day", "confidence": 0.5 });
    let detected = call(&person, path("detections"), json!([felt, felt, felt]), &[201, 503]).await.status == 201;
    let sad = json!({ "emotion": "sad", "voice_content": "and a bad one" });
    let processed = call(&person, path("process_emotion"), sad, &[200, 503]).await.status == 200;
    let rating = json!({ "comment": "so-so", "rating": 3 });
    let rated = call(&person, path("feedback"), rating, &[201, 400, 503]).await.status == 201;
    Some(Life { id, detected, processed, rated })
}

async fn call(person: &Person, path: String, body: Value, statuses: &[u16]) -> Answer {
    let answer = timeout(AT_ONCE, person.post(&path, body)).await.expect("an answer at once");
    assert!(statuses.contains(&answer.status), "{path} answered {} {}", answer.status, answer.text);
    answer
}

async fn a_tracker_that_dies_in_the_middle_of_a_batch_leaves_nothing_half_done(app: &TestApp) {
    app.expect_restarts();
    let people = [app.verified("ada").await, app.verified("bob").await];
    let (mut lives, mut cut_short) = (Vec::new(), 0);
    for (deaths, site) in (1..).zip(SITES) {
        let fail_point = app.sessions.ask(ArmFailPoint { site, min_commands: 2 }).await.expect("arms");
        while fail_point.is_armed() {
            let all = at_once((0..24).map(|number| life(people[number % 2].clone()))).await;
            cut_short += all.iter().filter(|life| life.as_ref().is_none_or(|life| !life.rated)).count();
            lives.extend(all.into_iter().flatten());
        }
        eventually("the restart", async || (has_died(app) == (deaths, State::Running)).then_some(())).await;
    }
    lives.extend(at_once((0..24).map(|number| life(people[number % 2].clone()))).await.into_iter().flatten());
    assert!(cut_short > 0 && lives.iter().any(|life| life.rated), "{cut_short} were cut short");
    let told = told(app).await;
    for life in &lives {
        is_whole(app, life, &told).await;
    }
    let sessions = app.rows("sessions").await;
    let started: usize = told.iter().filter(|((_, name), _)| name == "session.started").map(|(_, times)| *times).sum();
    assert_eq!(i64::try_from(started).expect("few"), sessions);
    let loose = "SELECT count(*) FROM emotion_detections d LEFT JOIN facial_data f ON f.detection_id = d.id \
        LEFT JOIN voice_data v ON v.detection_id = d.id WHERE f.id IS NULL OR v.id IS NULL";
    assert_eq!(app.number(loose).await, 0);
}

fn has_died(app: &TestApp) -> (u64, State) {
    let row = app.tree().snapshot().into_iter().find(|row| row.name == "session_tracker").expect("it has one");
    (row.restarts, row.state)
}

type Told = HashMap<(String, String), usize>;

/// How often each event was told of each session, when all are published; none twice of one detection.
async fn told(app: &TestApp) -> Told {
    eventually("all events published", async || {
        (app.number("SELECT count(*) FROM events WHERE position IS NULL").await == 0).then_some(())
    })
    .await;
    let (mut told, mut seen) = (Told::new(), Vec::new());
    for envelope in app.texts("SELECT envelope FROM events").await {
        let event: Value = serde_json::from_str(&envelope).expect("JSON");
        let word = |field: &str| event[field].as_str().expect("a word").trim_start_matches("faceofmind.v1.").to_owned();
        seen.push(event["data"]["detection_id"].as_i64());
        *told.entry((word("subject"), word("type"))).or_default() += 1;
    }
    seen.retain(Option::is_some);
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), all, "none twice");
    told
}

/// Whether each change is there with all its rows and its event, or not at all; and there if it was answered well.
async fn is_whole(app: &TestApp, life: &Life, told: &Told) {
    let id = life.id;
    let felt = |emotion: &str| {
        format!(
            "SELECT count(*) FROM emotion_detections d JOIN facial_data f ON f.detection_id = d.id \
             WHERE d.session_id = {id} AND f.emotion = '{emotion}'"
        )
    };
    let under = |table: &str| {
        format!(
            "SELECT count(*) FROM emotion_detections d JOIN {table} t ON t.detection_id = d.id WHERE d.session_id = {id}"
        )
    };
    let (happy, sad) = (app.number(&felt("happy")).await, app.number(&felt("sad")).await);
    let ended = app.number(&format!("SELECT count(*) FROM sessions WHERE id = {id} AND end_time IS NOT NULL")).await;
    let feedback = app.number(&format!("SELECT count(*) FROM feedback WHERE session_id = {id}")).await;
    assert!([0, 3].contains(&happy) && [0, 1].contains(&sad) && [0, 1].contains(&feedback), "{life:?}: {happy} {sad}");
    assert!(happy == 3 || !life.detected, "{life:?}");
    assert!(sad == 1 || !life.processed, "{life:?}");
    assert!(feedback == 1 || !life.rated, "{life:?}");
    assert_eq!(ended, sad, "{life:?}: it is ended by what was processed");
    assert_eq!(app.number(&under("wellness_suggestions")).await, sad, "{life:?}");
    assert_eq!(app.number(&under("voice_data")).await, happy + sad, "{life:?}");
    assert_eq!(app.number(&under("detection_details")).await, happy, "{life:?}");
    let times = |name: &str| told.get(&(format!("session/{id}"), name.to_owned())).map_or(0, |times| *times as i64);
    assert_eq!(
        ["session.started", "emotion.detected", "session.ended", "feedback.submitted"].map(times),
        [1, happy + sad, ended, feedback],
        "{life:?}"
    );
}
