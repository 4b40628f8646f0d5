//! Counts the detections of uncounted sessions: those that are older than the counts (migration 13), and those whose detections were changed or
//! deleted. Until then what reads counts their detections itself, so this is about time, never about what a chart says.
//!
//! Goes through the sessions by id, some thousand detections in a transaction. Between two transactions it rests for as long as the last one took.

use std::{sync::LazyLock, time::Duration};

use faceofmind_db::{BulkStatement, Database, StoreError, Tx, pad_with_nulls, with_conn};
use faceofmind_platform::Platform;
use faceofmind_runtime::BackgroundTask;
use tokio::time::Instant;

use super::{
    counts::{EMOTION, LATEST_FACE_FILTER},
    session::SessionId,
    suggestion_listing,
};

const NAME: &str = "emotion counting";
const INTERVAL: Duration = Duration::from_secs(60);
/// The shortest rest between two transactions.
const MIN_REST: Duration = Duration::from_millis(5);
/// The most detections in a transaction, but for a large session, which is counted alone: some 50 ms of the database.
const MAX_DETECTIONS: i64 = 5_000;
/// A session with more detections is large: how many more would take long to find out.
const LARGE: i64 = 500;

/// The next uncounted sessions, and the number of their detections, at most one more than [`LARGE`].
const NEXT: &str = "SELECT u.session_id, (SELECT count(*) FROM \
     (SELECT 1 FROM emotion_detections d WHERE d.session_id = u.session_id LIMIT 501) AS first) \
    FROM uncounted_sessions u WHERE u.session_id > $1 ORDER BY u.session_id LIMIT 256";
const LOCK: &str = "SELECT id FROM sessions WHERE id IN (VALUES {rows}) ORDER BY id";
static LOCK_ON_SQLITE: LazyLock<BulkStatement> = LazyLock::new(|| BulkStatement::new(LOCK, 1, 1));
/// Everything that writes into a session locks it: the service, and the triggers of the counts.
static LOCK_ON_POSTGRES: LazyLock<BulkStatement> =
    LazyLock::new(|| BulkStatement::new(&format!("{LOCK} FOR UPDATE SKIP LOCKED"), 1, 1));
/// Of several nodes, the first one takes the session.
static TAKE: LazyLock<BulkStatement> = LazyLock::new(|| {
    BulkStatement::new("DELETE FROM uncounted_sessions WHERE session_id IN (VALUES {rows}) RETURNING session_id", 1, 1)
});
static FORGET: LazyLock<BulkStatement> =
    LazyLock::new(|| BulkStatement::new("DELETE FROM emotion_counts WHERE session_id IN (VALUES {rows})", 1, 1));
static COUNT_ON_SQLITE: LazyLock<BulkStatement> = LazyLock::new(|| {
    let quarter = "(d.timestamp - (d.timestamp % 900000000 + 900000000) % 900000000) / 900000000";
    count(quarter, "d.timestamp IS NOT NULL")
});
static COUNT_ON_POSTGRES: LazyLock<BulkStatement> =
    LazyLock::new(|| count("quarter_of(d.timestamp)", "isfinite(d.timestamp)"));

/// `quarter` is SQL for the number of quarters of an hour since 1970, and `has_quarter` for whether there is one.
fn count(quarter: &str, has_quarter: &str) -> BulkStatement {
    let sql = format!(
        "INSERT INTO emotion_counts (session_id, quarter, emotion, user_id, detections, latest, detection_id) \
         SELECT d.session_id, {quarter}, {EMOTION}, s.user_id, count(*), max(d.timestamp), max(d.id) \
         FROM sessions s JOIN emotion_detections d ON d.session_id = s.id JOIN facial_data f ON f.detection_id = d.id \
         WHERE s.id IN (VALUES {{rows}}) AND {has_quarter} AND f.emotion IS NOT NULL AND {LATEST_FACE_FILTER} \
         GROUP BY 1, 2, 3, 4"
    );
    BulkStatement::new(&sql, 1, 1)
}

/// Returns the background task of the tracker. It lists suggestions when the sessions are counted, because it locks their sessions, and a count
/// leaves locked ones for the next time.
pub(super) fn task(deps: &Platform) -> BackgroundTask {
    let time = (deps.clock.clone(), deps.rng.clone());
    BackgroundTask::spawn(NAME, INTERVAL, time, deps.db.clone(), |db| async move {
        let counted = count_all(&db).await;
        suggestion_listing::list_all(&db).await.and(counted)
    })
}

/// Counts every uncounted session, but those that others are writing into: these wait for the next time.
pub(super) async fn count_all(db: &Database) -> Result<(), StoreError> {
    let (mut last, mut portions) = (SessionId(i64::MIN), 0_u32);
    loop {
        let begun = Instant::now();
        let sessions = next(db, last).await?;
        let Some(&end) = sessions.last() else { break };
        if let Err(error) = count_some(db, &sessions).await {
            tracing::warn!(%error, from = sessions[0].0, to = end.0, "failed to count the emotions of sessions; charts count their detections");
        }
        (last, portions) = (end, portions + 1);
        if portions.is_power_of_two() {
            analyze(db).await;
        }
        tokio::time::sleep(begun.elapsed().max(MIN_REST)).await;
    }
    if portions > 0 {
        analyze(db).await;
    }
    Ok(())
}

/// Tells PostgreSQL how the tables have grown, by which it chooses indexes. It does so by itself only after a while.
async fn analyze(db: &Database) {
    let analyzed = async {
        let mut tx = db.begin().await?;
        tx.on_postgres(sqlx::query("ANALYZE emotion_counts, uncounted_sessions")).await?;
        tx.commit().await
    };
    if let Err(error) = analyzed.await {
        tracing::debug!(%error, "failed to analyze the counts of emotions; PostgreSQL does so later");
    }
}

/// Returns the uncounted sessions after `last` that one transaction counts.
pub(super) async fn next(db: &Database, last: SessionId) -> Result<Vec<SessionId>, StoreError> {
    let mut reader = db.read_conn().await?;
    let rows: Vec<(SessionId, i64)> =
        with_conn!(reader.connection(), c => sqlx::query_as(NEXT).bind(last).fetch_all(c).await)?;
    let mut left = MAX_DETECTIONS;
    let fits = |&(session, detections): &(SessionId, i64)| {
        let is_first = left == MAX_DETECTIONS;
        left -= if detections > LARGE { MAX_DETECTIONS } else { detections };
        (left >= 0 || is_first).then_some(session)
    };
    Ok(rows.iter().map_while(fits).collect())
}

pub(super) async fn count_some(db: &Database, sessions: &[SessionId]) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    let (lock, count) = match tx {
        Tx::Postgres(_) => (&LOCK_ON_POSTGRES, &COUNT_ON_POSTGRES),
        Tx::Sqlite(..) => (&LOCK_ON_SQLITE, &COUNT_ON_SQLITE),
    };
    let locked = select(&mut tx, lock, sessions).await?;
    let taken = if locked.is_empty() { locked } else { select(&mut tx, &TAKE, &locked).await? };
    if !taken.is_empty() {
        execute(&mut tx, &FORGET, &taken).await?;
        execute(&mut tx, count, &taken).await?;
    }
    tx.commit().await
}

async fn select(
    tx: &mut Tx,
    statement: &'static BulkStatement,
    sessions: &[SessionId],
) -> Result<Vec<SessionId>, StoreError> {
    Ok(with_conn!(tx.connection(), c => {
        let query = sqlx::query_scalar(statement.sql(sessions.len()));
        pad_with_nulls(sessions.iter().copied()).fold(query, |query, id| query.bind(id)).fetch_all(c).await
    })?)
}

async fn execute(tx: &mut Tx, statement: &'static BulkStatement, sessions: &[SessionId]) -> Result<(), StoreError> {
    Ok(with_conn!(tx.connection(), c => {
        let query = sqlx::query(statement.sql(sessions.len()));
        pad_with_nulls(sessions.iter().copied()).fold(query, |query, id| query.bind(id)).execute(c).await.map(drop)
    })?)
}
