//! The tracker on each database, and a way to hold it back so that a batch is what the story says.

use std::{future::Future, time::Duration};

use faceofmind_base::Backoff;
use faceofmind_db::{Tx, with_conn};
use faceofmind_runtime::{RestartPolicy, Supervisor, SupervisorHandle, SupervisorSpec};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use tokio::task::JoinHandle;

use super::*;
use crate::suggestions::Advice;
use crate::{suggestions, testing};
use faceofmind_model::event::Initiator;

mod batches;
mod charts;
mod deaths;
mod failures;
mod history;
mod idempotent;
mod lists;
mod rating;
mod recording;
mod sessions;

struct World {
    db: Database,
    sessions: Sessions,
    clock: Clock,
    tree: SupervisorHandle,
}

/// A tracker on each database.
async fn worlds() -> Vec<World> {
    worlds_of(Settings::default()).await
}

async fn worlds_of(settings: Settings) -> Vec<World> {
    let mut worlds = Vec::new();
    for db in testing::databases().await {
        let (clock, rng) = (Clock::system(), Rng::system());
        let neighbours = Neighbours {
            publisher: testing::publisher(&db),
            suggestions: Suggestions::new(suggestions::Settings::default(), None, clock.clone(), rng.clone()).0,
            keyring: testing::keyring(),
            time_zone: TimeZone::UTC,
        };
        let (sessions, child) = Sessions::new(settings, db.clone(), neighbours, (clock.clone(), rng.clone()));
        let backoff = Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(1) };
        let policy = RestartPolicy { max_restarts: 100, backoff, ..RestartPolicy::default() };
        let family = SupervisorSpec { children: vec![child], policy, clock: clock.clone(), rng };
        worlds.push(World { db, sessions, clock, tree: Supervisor::start(family).await.expect("starts") });
    }
    worlds
}

fn call(user: UserId, key: Option<idempotency::Key>) -> Call {
    Call { user, origin: origin(user), key }
}

/// Processes a detection without looking first whose session it is: a held database lets nobody look.
async fn processed(
    sessions: Sessions,
    call: Call,
    session: SessionId,
    detection: Detection,
) -> Result<Once<Processed>, SessionError> {
    let advice = Advice { lines: vec!["I hear you.".into(); 5], urls: Vec::new(), crisis: false };
    sessions.make(call, Change::Process { session, detection, advice }).await
}

/// What was done now, and not before.
fn fresh<T>(once: Once<T>) -> T {
    match once {
        Once::Now(made) => made,
        Once::Again(answer) => panic!("was answered before: {answer:?}"),
    }
}

fn origin(user: UserId) -> EventContext {
    EventContext::new(Initiator::User(user))
}

impl World {
    async fn user(&self, email: &str) -> UserId {
        testing::user(&self.db, email).await
    }

    async fn start(&self, user: UserId) -> Session {
        fresh(self.sessions.start(call(user, None)).await.expect("starts"))
    }

    /// Asks, beside the test.
    fn ask<F: Future<Output: Send> + Send + 'static>(&self, ask: impl FnOnce(Sessions) -> F) -> JoinHandle<F::Output> {
        tokio::spawn(ask(self.sessions.clone()))
    }

    fn ask_to_start(&self, user: UserId) -> JoinHandle<Result<Once<Session>, SessionError>> {
        self.ask(|sessions| async move { sessions.start(call(user, None)).await })
    }

    /// Takes all that a write needs, so that it waits, and sends one along that is in flight until [`World::release`].
    async fn hold(&self, user: UserId) -> (Vec<Tx>, JoinHandle<Result<Once<Session>, SessionError>>) {
        let writers = if matches!(self.db, Database::Sqlite(..)) { 1 } else { 4 };
        let mut held = Vec::new();
        for _ in 0..writers {
            held.push(self.db.begin().await.expect("begins"));
        }
        let ahead = self.ask_to_start(user);
        self.until(|seen| seen["in_flight"] == 1).await;
        (held, ahead)
    }

    async fn release(&self, held: Vec<Tx>) {
        for tx in held {
            tx.rollback().await.expect("let go");
        }
    }

    /// Waits until so many writes wait for the one in flight.
    async fn until_waiting(&self, writes: usize) {
        self.until(|seen| seen["waiting"] == writes).await;
    }

    async fn until(&self, so: impl Fn(&Value) -> bool) {
        let patience = async {
            while !self.observed().await.is_ok_and(|seen| so(&seen)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), patience).await.expect("the tracker comes so far");
    }

    async fn observed(&self) -> Result<Value, Failure> {
        Ok(self.tree.children()[0].status().await?)
    }

    /// The names of the events recorded about a user, in their order.
    async fn told(&self, user: UserId) -> Vec<String> {
        let mut reader = self.db.read_conn().await.expect("reads");
        let sql = "SELECT envelope FROM events WHERE user_id = $1 ORDER BY seq";
        let rows: Vec<(String,)> =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).bind(user).fetch_all(c).await).expect("events");
        let name = |envelope: &str| {
            let envelope: Value = serde_json::from_str(envelope).expect("JSON");
            let kind = envelope["type"].as_str().expect("a type").trim_start_matches("faceofmind.v1.").to_owned();
            format!("{kind} {}", envelope["subject"].as_str().expect("a subject"))
        };
        rows.iter().map(|(envelope,)| name(envelope)).collect()
    }

    /// Runs SQL with one id and gives back the id that it returns.
    async fn sql(&self, sql: &'static str, id: i64) -> i64 {
        let mut tx = self.db.begin().await.expect("begins");
        let (returned,): (i64,) =
            with_conn!(tx.connection(), c => sqlx::query_as(sql).bind(id).bind(self.clock.now()).fetch_one(c).await)
                .expect("runs");
        tx.commit().await.expect("commits");
        returned
    }

    /// A detection with its emotion.
    async fn detect(&self, session: SessionId, emotion: &'static str) -> i64 {
        self.clock.advance(Duration::from_secs(1));
        let detection = "INSERT INTO emotion_detections (session_id, timestamp) VALUES ($1, $2) RETURNING id";
        let detection = self.sql(detection, session.0).await;
        self.texts("INSERT INTO facial_data (detection_id, emotion) VALUES ($1, $2)", detection, emotion).await;
        detection
    }

    /// Inserts a text under an id.
    async fn texts(&self, sql: &'static str, id: i64, text: &str) {
        let mut tx = self.db.begin().await.expect("begins");
        with_conn!(tx.connection(), c => sqlx::query(sql).bind(id).bind(text).execute(c).await.map(drop))
            .expect("inserts");
        tx.commit().await.expect("commits");
    }

    /// A detection with all that may stand under it, and feedback.
    async fn fill(&self, session: SessionId) {
        let detection = self.detect(session, "Sad").await;
        self.texts("INSERT INTO voice_data (detection_id, content) VALUES ($1, $2)", detection, "so-so").await;
        self.suggest(detection, "- Breathe.").await;
        let sure = "INSERT INTO detection_details (detection_id, confidence) SELECT $1, 0.5 WHERE $2 <> ''";
        self.texts(sure, detection, "surely").await;
        self.texts("INSERT INTO feedback (session_id, rating, comment) VALUES ($1, 5, $2)", session.0, "fine").await;
    }

    async fn suggest(&self, detection: i64, suggestion: &str) {
        let sql = "INSERT INTO wellness_suggestions (detection_id, suggestion) VALUES ($1, $2)";
        self.texts(sql, detection, suggestion).await;
    }

    /// Makes the tables under a session as some legacy databases have them: nothing in them goes by itself.
    async fn without_cascades(&self) {
        let mut tx = self.db.begin().await.expect("begins");
        for table in ["facial_data", "voice_data", "wellness_suggestions", "feedback", "detection_details"] {
            let bare = "detection_id bigint, session_id bigint, emotion text, content text, suggestion text, \
                comment text, rating integer, confidence double precision";
            for sql in [format!("DROP TABLE {table}"), format!("CREATE TABLE {table} ({bare})")] {
                with_conn!(tx.connection(), c => sqlx::query(AssertSqlSafe(sql)).execute(c).await.map(drop))
                    .expect("runs");
            }
        }
        tx.commit().await.expect("commits");
    }

    /// Rows in the tables of this room, all users' together.
    async fn rows(&self) -> i64 {
        let sql = "SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM emotion_detections) \
            + (SELECT count(*) FROM facial_data) + (SELECT count(*) FROM voice_data) \
            + (SELECT count(*) FROM wellness_suggestions) + (SELECT count(*) FROM feedback) \
            + (SELECT count(*) FROM detection_details)";
        let mut reader = self.db.read_conn().await.expect("reads");
        let (rows,): (i64,) =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_one(c).await).expect("counts");
        rows
    }
}
