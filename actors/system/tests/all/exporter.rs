//! Exports on each database, read fast, slowly, halfway and not at all.

use std::collections::BTreeSet;

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, with_conn};
use faceofmind_runtime::SupervisorHandle;
use serde_json::Value;

use super::*;
use crate::support;
use crate::support::until;
use faceofmind_domain::sessions::voice_aad;
use faceofmind_model::session::{DetectionId, SessionId};

struct World {
    db: Database,
    exporter: Exporter,
    tree: SupervisorHandle,
}

async fn worlds(settings: Settings) -> Vec<World> {
    let mut worlds = Vec::new();
    for db in faceofmind_testing::databases().await {
        let (exporter, child) = Exporter::new(settings, db.clone(), faceofmind_testing::keyring(), Clock::system());
        let tree = faceofmind_testing::supervise(vec![child], &Clock::system()).await;
        worlds.push(World { db, exporter, tree });
    }
    worlds
}

const COMMENT: &str = "INSERT INTO feedback (session_id, comment, rating) VALUES ($1, $2, 5)";

impl World {
    async fn run(&self, sql: &'static str, owner: i64, text: &str) {
        let mut tx = self.db.begin().await.expect("begins");
        with_conn!(tx.connection(), c => sqlx::query(sql).bind(owner).bind(text).execute(c).await.map(drop))
            .expect("runs");
        tx.commit().await.expect("commits");
    }

    async fn session(&self, user: UserId) -> SessionId {
        self.sessions(user, 1).await[0]
    }

    async fn sessions(&self, user: UserId, number: usize) -> Vec<SessionId> {
        let sql = "INSERT INTO sessions (user_id, start_time) VALUES ($1, $2) RETURNING id";
        let mut sessions = Vec::new();
        let mut tx = self.db.begin().await.expect("begins");
        for _ in 0..number {
            let (id,): (SessionId,) = with_conn!(tx.connection(), c =>
                sqlx::query_as(sql).bind(user).bind(Timestamp::from_micros(0)).fetch_one(c).await)
            .expect("a session");
            sessions.push(id);
        }
        tx.commit().await.expect("commits");
        sessions
    }

    /// A detection for each moment, in microseconds.
    async fn detect(&self, session: SessionId, moments: impl IntoIterator<Item = i64>) -> Vec<DetectionId> {
        let sql = "INSERT INTO emotion_detections (session_id, timestamp) VALUES ($1, $2) RETURNING id";
        let mut detections = Vec::new();
        let mut tx = self.db.begin().await.expect("begins");
        for moment in moments {
            let (id,): (DetectionId,) = with_conn!(tx.connection(), c =>
                sqlx::query_as(sql).bind(session).bind(Timestamp::from_micros(moment)).fetch_one(c).await)
            .expect("a detection");
            detections.push(id);
        }
        tx.commit().await.expect("commits");
        detections
    }

    /// A user of whom more is held than lies between an export and its reader.
    async fn talkative(&self, email: &str) -> UserId {
        let user = faceofmind_testing::user(&self.db, email).await;
        for session in self.sessions(user, 100).await {
            self.run(COMMENT, session.0, &"word ".repeat(1000)).await;
        }
        user
    }

    async fn whole(&self, user: UserId) -> Value {
        let pieces = self.exporter.export(user).await.expect("begins");
        let (bytes, ended) = read(pieces).await;
        ended.expect("whole");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    async fn under_way(&self) -> u64 {
        self.exporter.address.status().await.expect("it answers")["under_way"].as_u64().expect("a number")
    }

    async fn all_ended(&self) {
        until("no export is under way", async || self.under_way().await == 0).await;
    }

    async fn stop(self) {
        self.tree.stop(Duration::from_secs(5)).await;
        self.db.close().await;
    }
}

async fn read(mut pieces: ExportStream) -> (Vec<u8>, Result<(), Truncated>) {
    let mut read = Vec::new();
    loop {
        match pieces.next().await {
            Ok(Some(piece)) => read.extend(piece),
            Ok(None) => return (read, Ok(())),
            Err(incomplete) => return (read, Err(incomplete)),
        }
    }
}

fn ids(list: &Value) -> Vec<i64> {
    list.as_array().expect("a list").iter().map(|item| item["id"].as_i64().expect("a key")).collect()
}

#[tokio::test]
async fn a_user_has_one_export_at_a_time_and_all_together_few() {
    for world in worlds(Settings { most_at_once: 2, ..Settings::default() }).await {
        let (ada, bob) = (world.talkative("ada@example.org").await, world.talkative("bob@example.org").await);
        let eve = faceofmind_testing::user(&world.db, "eve@example.org").await;
        let of_ada = world.exporter.export(ada).await.expect("begins");
        assert!(matches!(world.exporter.export(ada).await, Err(ExportError::UnderWay)));
        let of_bob = world.exporter.export(bob).await.expect("begins");
        let busy = world.exporter.export(eve).await.expect_err("there are two");
        assert!(matches!(busy, ExportError::Failed(Failure::Busy("exporter"))), "{busy}");
        read(of_ada).await.1.expect("whole");
        assert_eq!(
            ids(&world.whole(ada).await["sessions"]).len(),
            100,
            "at once after the end it may be asked for again"
        );
        drop(of_bob);
        world.all_ended().await;
        world.stop().await;
    }
}

#[tokio::test]
async fn an_export_tells_of_one_moment() {
    for world in worlds(Settings::default()).await {
        let ada = world.talkative("ada@example.org").await;
        let mut pieces = world.exporter.export(ada).await.expect("begins");
        let mut bytes = pieces.next().await.expect("a piece").expect("the first");
        world.session(ada).await;
        world.run("DELETE FROM feedback WHERE session_id > $1 AND comment <> $2", 0, "").await;
        let (rest, ended) = read(pieces).await;
        ended.expect("whole");
        bytes.extend(rest);
        let told: Value = serde_json::from_slice(&bytes).expect("JSON");
        let sessions = told["sessions"].as_array().expect("a list");
        assert_eq!(sessions.len(), 100);
        assert!(sessions.iter().all(|session| session["feedback"][0]["rating"] == 5));
        let now = world.whole(ada).await;
        assert_eq!((ids(&now["sessions"]).len(), &now["sessions"][0]["feedback"]), (101, &Value::Array(Vec::new())));
        world.stop().await;
    }
}

#[tokio::test]
async fn one_that_is_read_too_slowly_is_cut_short() {
    for world in worlds(Settings { longest: Duration::from_millis(50), ..Settings::default() }).await {
        let ada = world.talkative("ada@example.org").await;
        let pieces = world.exporter.export(ada).await.expect("begins");
        world.all_ended().await;
        let (bytes, ended) = read(pieces).await;
        assert_eq!(ended, Err(Truncated));
        serde_json::from_slice::<Value>(&bytes).expect_err("not the whole");
        world.stop().await;
    }
}

#[tokio::test]
async fn one_of_a_user_who_is_not_there_is_cut_short() {
    for world in worlds(Settings::default()).await {
        let nobody = UserId(4_000_000);
        let (_, ended) = read(world.exporter.export(nobody).await.expect("begins")).await;
        assert_eq!(ended, Err(Truncated));
        world.all_ended().await;
        world.stop().await;
    }
}

#[tokio::test]
async fn an_exporter_that_dies_cuts_short_what_it_was_writing_and_goes_on() {
    for world in worlds(Settings::default()).await {
        let ada = world.talkative("ada@example.org").await;
        let pieces = world.exporter.export(ada).await.expect("begins");
        world.exporter.address.panic();
        assert_eq!(read(pieces).await.1, Err(Truncated));
        until("it is back", async || world.exporter.address.status().await.is_ok()).await;
        world.whole(ada).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn every_detection_is_told_once_however_they_are_spread() {
    let moments = |number: usize| (0..number).map(|place| i64::try_from(place / 70).expect("small"));
    for world in worlds(Settings::default()).await {
        let ada = faceofmind_testing::user(&world.db, "ada@example.org").await;
        let bob = faceofmind_testing::user(&world.db, "bob@example.org").await;
        let mut expected = Vec::new();
        for number in [0, 1, PAGE - 1, PAGE, PAGE + 1, 0, 3 * PAGE + 5, 2] {
            let session = world.session(ada).await;
            expected.extend(world.detect(session, moments(number)).await);
            let others = world.session(bob).await;
            world.detect(others, moments(3)).await;
        }
        for session in world.sessions(ada, 2 * PAGE + 3).await {
            if session.0 % 3 == 0 {
                expected.extend(world.detect(session, [-5, 5]).await);
            }
        }
        world.sessions(ada, PAGE + 1).await;
        let told = ids(&world.whole(ada).await["emotion_detections"]);
        let expected: Vec<i64> = expected.into_iter().map(|id| id.0).collect();
        assert_eq!(told, expected);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_text_that_no_key_opens_costs_its_owner_none_of_the_others() {
    let voice = "INSERT INTO voice_data (detection_id, content) VALUES ($1, $2)";
    for world in worlds(Settings::default()).await {
        let ada = faceofmind_testing::user(&world.db, "ada@example.org").await;
        let session = world.session(ada).await;
        let detections = world.detect(session, [1, 2, 3]).await;
        let sealed = faceofmind_testing::keyring().seal(&voice_aad(detections[0]), "good words").expect("seals");
        world.run(voice, detections[0].0, &sealed).await;
        world.run(voice, detections[1].0, &sealed).await;
        world.run(voice, detections[2].0, "plain words").await;
        let told = world.whole(ada).await;
        let said = |place: usize| &told["emotion_detections"][place]["voice_data"][0]["content"];
        assert_eq!((said(0), said(1), said(2)), (&"good words".into(), &Value::Null, &"plain words".into()));
        world.stop().await;
    }
}

/// Whoever adds a table decides what of it stands in an export.
#[tokio::test]
async fn every_table_is_exported_or_left_out_for_a_reason() {
    const EXPORTED: [&str; 17] = [
        "users",
        "user_profiles",
        "claims",
        "claim_languages",
        "address_changes",
        "logins",
        "sessions",
        "feedback",
        "emotion_detections",
        "detection_details",
        "facial_data",
        "voice_data",
        "wellness_suggestions",
        "community_posts",
        "community_comments",
        "reminders",
        "reminder_schedules",
    ];
    const LEFT_OUT: [&str; 6] = ["codes", "counters", "events", "idempotency_keys", "mail_intents", "leases"];
    const NOBODYS: [&str; 1] = ["_sqlx_migrations"];
    for db in faceofmind_testing::databases().await {
        let mut reader = db.read_conn().await.expect("reads");
        let tables: Vec<(String,)> = match reader.connection() {
            Connection::Postgres(c) => {
                let sql =
                    "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()";
                sqlx::query_as(sql).fetch_all(c).await.expect("tables")
            }
            Connection::Sqlite(c) => {
                let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
                sqlx::query_as(sql).fetch_all(c).await.expect("tables")
            }
        };
        let known: BTreeSet<&str> = EXPORTED.into_iter().chain(LEFT_OUT).chain(NOBODYS).collect();
        let tables: BTreeSet<&str> = tables.iter().map(|(table,)| table.as_str()).collect();
        assert_eq!(tables, known);
        drop(reader);
        db.close().await;
    }
}
