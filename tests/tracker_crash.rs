//! The session tracker panics during a batch under load. Every request gets a response within seconds, an acknowledged
//! change is stored, and no change is stored in part.

use std::{collections::HashMap, time::Duration};

use faceofmind_domain::sessions::{ArmFailPoint, FailPointSite};
use faceofmind_runtime::ActorState;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{Person, Response, TestApp, concurrently, eventually, tests_on_both_profiles};

tests_on_both_profiles! {
    a_session_tracker_that_panics_during_a_batch_leaves_no_partial_writes,
}

/// The longest time that a request may take while an actor restarts.
const MAX_WAIT: Duration = Duration::from_secs(5);
const SITES: [FailPointSite; 4] =
    [FailPointSite::Locked, FailPointSite::DetectionsInserted, FailPointSite::Written, FailPointSite::Committed];

/// A session, and which of its changes were acknowledged.
#[derive(Debug)]
struct Acknowledged {
    id: i64,
    detected: bool,
    processed: bool,
    rated: bool,
}

/// Runs one session from its start to its feedback. A failed request does not end it. The outcome of what the crash interrupts is unknown.
async fn run_session(person: Person) -> Option<Acknowledged> {
    let start = call(&person, "/sessions/".to_owned(), json!({}), &[201, 503, 504]).await;
    let id = start.json["id"].as_i64()?;
    let path = |what: &str| format!("/sessions/{id}/{what}");
    let happy = json!({ "emotion": "happy", "voice_content": "a good day", "confidence": 0.5 });
    let detected =
        call(&person, path("detections"), json!([happy, happy, happy]), &[201, 503, 504]).await.status == 201;
    let sad = json!({ "emotion": "sad", "voice_content": "and a bad one" });
    let processed = call(&person, path("process_emotion"), sad, &[200, 503, 504]).await.status == 200;
    let rating = json!({ "comment": "so-so", "rating": 3 });
    let rated = call(&person, path("feedback"), rating, &[201, 400, 503, 504]).await.status == 201;
    Some(Acknowledged { id, detected, processed, rated })
}

async fn call(person: &Person, path: String, body: Value, statuses: &[u16]) -> Response {
    let response = timeout(MAX_WAIT, person.post(&path, body)).await.expect("a response in time");
    assert!(statuses.contains(&response.status), "{path} answered {} {}", response.status, response.text);
    response
}

async fn run_sessions(people: &[Person; 2]) -> Vec<Option<Acknowledged>> {
    concurrently((0..24).map(|number| run_session(people[number % 2].clone()))).await
}

async fn a_session_tracker_that_panics_during_a_batch_leaves_no_partial_writes(app: &TestApp) {
    app.allow_restarts();
    let people = [app.verified("ada").await, app.verified("bob").await];
    let (mut sessions, mut cut_short) = (Vec::new(), 0);
    for (restarts, site) in (1..).zip(SITES) {
        let fail_point = app.sessions.ask(ArmFailPoint { site, min_commands: 2 }).await.expect("arms");
        while fail_point.is_armed() {
            let all = run_sessions(&people).await;
            cut_short += all.iter().filter(|session| session.as_ref().is_none_or(|session| !session.rated)).count();
            sessions.extend(all.into_iter().flatten());
        }
        eventually("the actor is restarted", async || (tracker(app) == (restarts, ActorState::Running)).then_some(()))
            .await;
    }
    sessions.extend(run_sessions(&people).await.into_iter().flatten());
    assert!(cut_short > 0 && sessions.iter().any(|session| session.rated), "{cut_short} were cut short");
    let events = count_events(app).await;
    for session in &sessions {
        assert_complete(app, session, &events).await;
    }
    let started: usize =
        events.iter().filter(|((_, name), _)| name == "session.started").map(|(_, count)| *count).sum();
    assert_eq!(i64::try_from(started).expect("few"), app.row_count("sessions").await);
    let incomplete = "SELECT count(*) FROM emotion_detections d LEFT JOIN facial_data f ON f.detection_id = d.id \
        LEFT JOIN voice_data v ON v.detection_id = d.id WHERE f.id IS NULL OR v.id IS NULL";
    assert_eq!(app.number(incomplete).await, 0);
}

/// The restarts and the state of the session tracker.
fn tracker(app: &TestApp) -> (u64, ActorState) {
    let row = app.tree().snapshot().into_iter().find(|row| row.name == "session_tracker").expect("a session tracker");
    (row.restarts, row.state)
}

/// The number of events by subject and name.
type EventCounts = HashMap<(String, String), usize>;

/// Counts the events once all are published. Asserts that no detection has two.
async fn count_events(app: &TestApp) -> EventCounts {
    app.wait_until_published().await;
    let (mut counts, mut detections) = (EventCounts::new(), Vec::new());
    for event in app.recorded_events().await {
        let text = |field: &str| event[field].as_str().expect("a text").trim_start_matches("faceofmind.v1.").to_owned();
        detections.extend(event["data"]["detection_id"].as_i64());
        *counts.entry((text("subject"), text("type"))).or_default() += 1;
    }
    let all = detections.len();
    detections.sort_unstable();
    detections.dedup();
    assert_eq!(detections.len(), all, "one event for each detection");
    counts
}

/// Asserts that each change of a session is stored with all its rows and its event, or not at all, and that acknowledged
/// changes are stored.
async fn assert_complete(app: &TestApp, session: &Acknowledged, events: &EventCounts) {
    let id = session.id;
    let with_emotion = |emotion: &str| {
        format!(
            "SELECT count(*) FROM emotion_detections d JOIN facial_data f ON f.detection_id = d.id \
             WHERE d.session_id = {id} AND f.emotion = '{emotion}'"
        )
    };
    let with_row_in = |table: &str| {
        format!(
            "SELECT count(*) FROM emotion_detections d JOIN {table} t ON t.detection_id = d.id WHERE d.session_id = {id}"
        )
    };
    let (happy, sad) = (app.number(&with_emotion("happy")).await, app.number(&with_emotion("sad")).await);
    let ended = app.number(&format!("SELECT count(*) FROM sessions WHERE id = {id} AND end_time IS NOT NULL")).await;
    let feedback = app.number(&format!("SELECT count(*) FROM feedback WHERE session_id = {id}")).await;
    assert!(
        [0, 3].contains(&happy) && [0, 1].contains(&sad) && [0, 1].contains(&feedback),
        "{session:?}: {happy} {sad}"
    );
    assert!(happy == 3 || !session.detected, "{session:?}");
    assert!(sad == 1 || !session.processed, "{session:?}");
    assert!(feedback == 1 || !session.rated, "{session:?}");
    assert_eq!(ended, sad, "{session:?}: the processed emotion ends the session");
    assert_eq!(app.number(&with_row_in("wellness_suggestions")).await, sad, "{session:?}");
    assert_eq!(app.number(&with_row_in("voice_data")).await, happy + sad, "{session:?}");
    assert_eq!(app.number(&with_row_in("detection_details")).await, happy, "{session:?}");
    let count = |name: &str| events.get(&(format!("session/{id}"), name.to_owned())).map_or(0, |count| *count as i64);
    assert_eq!(
        ["session.started", "emotion.detected", "session.ended", "feedback.submitted"].map(count),
        [1, happy + sad, ended, feedback],
        "{session:?}"
    );
}
