//! The suggestion of a session in a list is the first one among its detections, whatever other programs write.

use futures_util::future::join_all;

use super::{super::suggestion_listing, *};

/// The sessions with the text of their first suggestion: as the list shows it, and as the detections have it.
const LISTED: &str = "SELECT s.id, (SELECT w.suggestion FROM session_suggestions l \
     JOIN wellness_suggestions w ON w.id = l.suggestion_id WHERE l.session_id = s.id ORDER BY l.suggestion_id LIMIT 1) \
    FROM sessions s ORDER BY s.id";
const RIGHT: &str = "SELECT s.id, (SELECT w.suggestion FROM emotion_detections d \
     JOIN wellness_suggestions w ON w.detection_id = d.id WHERE d.session_id = s.id ORDER BY w.id LIMIT 1) \
    FROM sessions s ORDER BY s.id";
const UNLISTED: &str = "SELECT count(*) FROM unlisted_suggestions";
const ENTRIES: &str = "SELECT count(*) FROM session_suggestions";
const SUGGESTIONS: &str = "SELECT count(*) FROM wellness_suggestions";
const SESSIONS: u32 = 6;
const WRITERS: usize = 3;

impl TestContext {
    async fn first_suggestions(&self, sql: &'static str) -> Vec<(i64, Option<String>)> {
        let mut reader = self.db.read_conn().await.expect("a connection");
        with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_all(c).await).expect("texts")
    }

    /// Compares the entries and what a user sees with the detections.
    async fn assert_suggestions_are_right(&self, user: UserId) {
        let right = self.first_suggestions(RIGHT).await;
        assert_eq!(self.first_suggestions(LISTED).await, right);
        let listed = self.sessions.list(user, 0, 100).await.expect("lists");
        let listed: Vec<_> = listed.into_iter().rev().map(|session| (session.id.0, session.suggestion)).collect();
        assert_eq!(listed, right, "a text here is one sentence");
    }

    /// Makes what was written look as it does after migration 19.
    async fn unlist_all(&self) {
        self.run("DELETE FROM session_suggestions").await;
        self.run("DELETE FROM unlisted_suggestions").await;
        self.run(
            "INSERT INTO unlisted_suggestions SELECT min(id), max(id) FROM wellness_suggestions HAVING max(id) IS NOT NULL",
        )
        .await;
    }
}

/// What another program may write, into any of the sessions.
fn random_write(rng: &Rng) -> String {
    let any = |below: u32| i64::from(rng.random_below(below));
    let session = |number: i64| format!("(SELECT id FROM sessions ORDER BY id LIMIT 1 OFFSET {number})");
    let (one, other) = (session(any(SESSIONS)), session(any(SESSIONS)));
    let detection = "(SELECT min(id) FROM emotion_detections WHERE session_id";
    let suggest = |which: &str| {
        format!(
            "INSERT INTO wellness_suggestions (detection_id, suggestion) SELECT id, 'Number ' || id || ' of {}' \
             FROM emotion_detections d WHERE {which}",
            rng.random_below(u32::MAX)
        )
    };
    match any(12) {
        0 | 10 => format!(
            "INSERT INTO emotion_detections (session_id, timestamp) SELECT id, start_time FROM sessions WHERE id >= {one}"
        ),
        1 | 2 => suggest(&format!("session_id = {one} AND d.id % 3 = 0")),
        3 => suggest(&format!("session_id IN ({one}, {other}) AND d.id % 2 = 0")),
        4 => format!("DELETE FROM wellness_suggestions WHERE detection_id = {detection} = {one})"),
        5 => format!("DELETE FROM emotion_detections WHERE id = {detection} = {one})"),
        6 => format!("UPDATE emotion_detections SET session_id = {one} WHERE session_id = {other} AND id % 4 <> 1"),
        7 => format!(
            "UPDATE wellness_suggestions SET detection_id = {detection} = {one}) WHERE id % 7 = 0 AND {detection} = {one}) IS NOT NULL"
        ),
        8 => format!(
            "UPDATE wellness_suggestions SET id = id + 100000 WHERE id % 11 = 0 AND id < 100000 AND detection_id = {detection} = {one})"
        ),
        _ => "UPDATE wellness_suggestions SET url = 'https://example.org'".to_owned(),
    }
}

async fn with_sessions(test: &TestContext) -> UserId {
    let user = test.user("ada@example.org").await;
    for _ in 0..SESSIONS {
        test.start(user).await;
    }
    user
}

#[tokio::test]
async fn the_suggestion_of_a_session_is_right_after_any_writes_of_other_programs() {
    for test in contexts().await {
        let user = with_sessions(&test).await;
        let rng = Rng::seeded(19);
        for round in 0..200 {
            test.run(&random_write(&rng)).await;
            if round == 100 {
                test.unlist_all().await;
                let listed = test.sessions.list(user, 0, 100).await.expect("lists");
                assert!(listed.iter().any(|session| session.suggestion.is_some()), "it looks among the detections");
                while suggestion_listing::list_some(&test.db, 3).await.expect("lists") {}
            }
            if round % 10 == 0 {
                let session = test.sessions.list(user, 0, 1).await.expect("lists")[0].id;
                test.sessions.delete(user, session).await.expect("deletes");
                test.start(user).await;
            }
            test.assert_suggestions_are_right(user).await;
        }
        assert!(test.number(SUGGESTIONS).await > 0);
        test.run("DELETE FROM wellness_suggestions").await;
        assert_eq!(test.number(ENTRIES).await, 0);
    }
}

/// Two nodes list older suggestions while other programs write them, delete them and move their detections.
#[tokio::test(flavor = "multi_thread")]
async fn suggestions_are_right_whatever_is_written_while_older_ones_are_listed() {
    let test = contexts().await.pop().expect("PostgreSQL");
    let user = with_sessions(&test).await;
    let rng = Rng::seeded(1);
    for _ in 0..60 {
        test.run(&random_write(&rng)).await;
    }
    test.unlist_all().await;
    let db = &test.db;
    let write = async |seed: usize| {
        let rng = Rng::seeded(seed as u64);
        for _ in 0..40 {
            try_to_run(db, &random_write(&rng)).await;
        }
    };
    let list = async || {
        while test.number(UNLISTED).await > 0 {
            // Where it and another program wait for each other, PostgreSQL ends one of the two.
            drop(suggestion_listing::list_some(db, 2).await);
        }
    };
    tokio::join!(join_all((0..WRITERS).map(write)), list(), list());
    test.assert_suggestions_are_right(user).await;
    assert_eq!(test.number(ENTRIES).await, test.number(SUGGESTIONS).await);
}

/// PostgreSQL may end it, where it and another wait for each other.
async fn try_to_run(db: &Database, sql: &str) {
    let mut tx = db.begin().await.expect("begins");
    let statement = AssertSqlSafe(sql.to_owned());
    let ran = with_conn!(tx.connection(), c => sqlx::query(statement).execute(c).await.map(drop));
    match ran {
        Ok(()) => tx.commit().await.expect("commits"),
        Err(error) => {
            let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
            // A deadlock, or a detection that another has deleted.
            assert!(["40P01", "23503"].contains(&code.as_deref().unwrap_or_default()), "{sql}: {error}");
            tx.rollback().await.expect("ends");
        }
    }
}

#[tokio::test]
async fn truncated_suggestions_are_not_listed() {
    let test = contexts().await.pop().expect("PostgreSQL");
    let user = with_sessions(&test).await;
    let session = test.sessions.list(user, 0, 1).await.expect("lists")[0].id;
    let detection = test.detect(session, "sad").await;
    test.suggest(detection, "- Breathe.").await;
    assert_eq!(test.number(ENTRIES).await, 1);
    test.run("TRUNCATE wellness_suggestions").await;
    assert_eq!(test.number(ENTRIES).await, 0);
    test.suggest(detection, "- Rest.").await;
    assert_eq!(test.sessions.list(user, 0, 1).await.expect("lists")[0].suggestion.as_deref(), Some("Rest."));
    test.run("TRUNCATE sessions CASCADE").await;
    assert_eq!(test.number(ENTRIES).await, 0);
}
