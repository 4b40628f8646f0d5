//! Exports on each database: read fast, slowly, in part and not at all.

use std::time::Duration;

use faceofmind_base::{Clock, Timestamp};
use faceofmind_db::{
    Database,
    export::{ExportStream, PAGE_SIZE, Truncated},
    with_conn,
};
use faceofmind_domain::sessions::voice_aad;
use faceofmind_model::{
    UserId,
    session::{DetectionId, SessionId},
};
use faceofmind_platform::testing::{self, keyring};
use faceofmind_runtime::{AskError, Handle, SupervisorHandle};
use faceofmind_system::{
    exporter::{Export, ExportError, Exporter, Settings},
    modules::exports,
};
use faceofmind_testing::{databases, supervise, until, user};
use serde_json::Value;

struct TestContext {
    db: Database,
    exporter: Handle<Exporter>,
    tree: SupervisorHandle,
}

async fn contexts(settings: Settings) -> Vec<TestContext> {
    let mut contexts = Vec::new();
    for db in databases().await {
        let (exporter, child) = Exporter::new(settings, exports(), testing::platform(&db, &Clock::system()));
        let tree = supervise(vec![child], &Clock::system()).await;
        contexts.push(TestContext { db, exporter, tree });
    }
    contexts
}

const COMMENT: &str = "INSERT INTO feedback (session_id, comment, rating) VALUES ($1, $2, 5)";

impl TestContext {
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

    /// Inserts a detection for each moment, in microseconds.
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

    /// Creates a user with more data than is buffered between an export and its reader.
    async fn talkative(&self, email: &str) -> UserId {
        let user = user(&self.db, email).await;
        for session in self.sessions(user, 100).await {
            self.run(COMMENT, session.0, &"word ".repeat(1000)).await;
        }
        user
    }

    async fn whole(&self, user: UserId) -> Value {
        let (bytes, ended) = read(self.export(user).await.expect("starts")).await;
        ended.expect("whole");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    async fn export(&self, user: UserId) -> Result<ExportStream, ExportError> {
        self.exporter.ask(Export { user }).await
    }

    async fn all_ended(&self) {
        let in_progress = async || self.exporter.status().await.expect("the actor runs").in_progress;
        until("no export is in progress", async || in_progress().await == 0).await;
    }

    async fn stop(self) {
        self.tree.stop(Duration::from_secs(5)).await;
        self.db.close().await;
    }
}

async fn read(mut stream: ExportStream) -> (Vec<u8>, Result<(), Truncated>) {
    let mut read = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(chunk)) => read.extend(chunk),
            Ok(None) => return (read, Ok(())),
            Err(truncated) => return (read, Err(truncated)),
        }
    }
}

fn ids(list: &Value) -> Vec<i64> {
    list.as_array().expect("a list").iter().map(|item| item["id"].as_i64().expect("a key")).collect()
}

#[tokio::test]
async fn a_user_has_one_export_at_a_time_and_the_total_is_bounded() {
    for test in contexts(Settings { max_concurrent: 2, ..Settings::default() }).await {
        let (ada, bob) = (test.talkative("ada@example.org").await, test.talkative("bob@example.org").await);
        let eve = user(&test.db, "eve@example.org").await;
        let of_ada = test.export(ada).await.expect("starts");
        assert!(matches!(test.export(ada).await, Err(ExportError::InProgress)));
        let of_bob = test.export(bob).await.expect("starts");
        let busy = test.export(eve).await.expect_err("there are two");
        assert!(matches!(busy, ExportError::Ask(AskError::Busy("exporter"))), "{busy}");
        read(of_ada).await.1.expect("whole");
        assert_eq!(ids(&test.whole(ada).await["sessions"]).len(), 100, "after its end the user may ask again at once");
        drop(of_bob);
        test.all_ended().await;
        test.stop().await;
    }
}

#[tokio::test]
async fn an_export_is_a_consistent_snapshot() {
    for test in contexts(Settings::default()).await {
        let ada = test.talkative("ada@example.org").await;
        let mut stream = test.export(ada).await.expect("starts");
        let mut bytes = stream.next().await.expect("a chunk").expect("the first");
        test.session(ada).await;
        test.run("DELETE FROM feedback WHERE session_id > $1 AND comment <> $2", 0, "").await;
        let (rest, ended) = read(stream).await;
        ended.expect("whole");
        bytes.extend(rest);
        let document: Value = serde_json::from_slice(&bytes).expect("JSON");
        let sessions = document["sessions"].as_array().expect("a list");
        assert_eq!(sessions.len(), 100);
        assert!(sessions.iter().all(|session| session["feedback"][0]["rating"] == 5));
        let now = test.whole(ada).await;
        assert_eq!((ids(&now["sessions"]).len(), &now["sessions"][0]["feedback"]), (101, &Value::Array(Vec::new())));
        test.stop().await;
    }
}

#[tokio::test]
async fn an_export_that_is_read_too_slowly_is_truncated() {
    for test in contexts(Settings { timeout: Duration::from_millis(50), ..Settings::default() }).await {
        let ada = test.talkative("ada@example.org").await;
        let stream = test.export(ada).await.expect("starts");
        test.all_ended().await;
        let (bytes, ended) = read(stream).await;
        assert_eq!(ended, Err(Truncated));
        serde_json::from_slice::<Value>(&bytes).expect_err("not the whole");
        test.stop().await;
    }
}

#[tokio::test]
async fn a_slow_reader_gives_way_to_another_user_and_not_to_itself() {
    let settings = Settings { max_concurrent: 1, gives_way_after: Duration::from_millis(50), ..Settings::default() };
    for test in contexts(settings).await {
        let (ada, bob) = (test.talkative("ada@example.org").await, test.talkative("bob@example.org").await);
        let unread = test.export(ada).await.expect("starts");
        assert!(matches!(test.export(ada).await, Err(ExportError::InProgress)));
        test.whole(bob).await;
        assert_eq!(read(unread).await.1, Err(Truncated));
        test.stop().await;
    }
}

#[tokio::test]
async fn an_export_of_an_unknown_user_is_truncated() {
    for test in contexts(Settings::default()).await {
        let unknown = UserId(4_000_000);
        let (_, ended) = read(test.export(unknown).await.expect("starts")).await;
        assert_eq!(ended, Err(Truncated));
        test.all_ended().await;
        test.stop().await;
    }
}

#[tokio::test]
async fn an_exporter_that_panics_truncates_its_export_and_restarts() {
    for test in contexts(Settings::default()).await {
        let ada = test.talkative("ada@example.org").await;
        let stream = test.export(ada).await.expect("starts");
        test.exporter.panic();
        assert_eq!(read(stream).await.1, Err(Truncated));
        until("it restarts", async || test.exporter.status().await.is_ok()).await;
        test.whole(ada).await;
        test.stop().await;
    }
}

#[tokio::test]
async fn every_detection_is_exported_once_however_they_are_spread() {
    let moments = |number: usize| (0..number).map(|place| i64::try_from(place / 70).expect("small"));
    for test in contexts(Settings::default()).await {
        let ada = user(&test.db, "ada@example.org").await;
        let bob = user(&test.db, "bob@example.org").await;
        let mut expected = Vec::new();
        for number in [0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 0, 3 * PAGE_SIZE + 5, 2] {
            let session = test.session(ada).await;
            expected.extend(test.detect(session, moments(number)).await);
            let others = test.session(bob).await;
            test.detect(others, moments(3)).await;
        }
        for session in test.sessions(ada, 2 * PAGE_SIZE + 3).await {
            if session.0 % 3 == 0 {
                expected.extend(test.detect(session, [-5, 5]).await);
            }
        }
        test.sessions(ada, PAGE_SIZE + 1).await;
        let exported = ids(&test.whole(ada).await["emotion_detections"]);
        let expected: Vec<i64> = expected.into_iter().map(|id| id.0).collect();
        assert_eq!(exported, expected);
        test.stop().await;
    }
}

#[tokio::test]
async fn a_text_that_no_key_decrypts_does_not_affect_the_others() {
    let voice = "INSERT INTO voice_data (detection_id, content) VALUES ($1, $2)";
    for test in contexts(Settings::default()).await {
        let ada = user(&test.db, "ada@example.org").await;
        let session = test.session(ada).await;
        let detections = test.detect(session, [1, 2, 3]).await;
        let encrypted = keyring().encrypt(&voice_aad(detections[0]), "good words").expect("encrypts");
        test.run(voice, detections[0].0, &encrypted).await;
        test.run(voice, detections[1].0, &encrypted).await;
        test.run(voice, detections[2].0, "plain words").await;
        let document = test.whole(ada).await;
        let said = |place: usize| &document["emotion_detections"][place]["voice_data"][0]["content"];
        assert_eq!((said(0), said(1), said(2)), (&"good words".into(), &Value::Null, &"plain words".into()));
        test.stop().await;
    }
}
