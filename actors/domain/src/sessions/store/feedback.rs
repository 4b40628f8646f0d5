//! The SQL of feedback. The caller holds the sessions' locks. No unique constraint keeps a session from having two: the lock of the session does.

use std::sync::LazyLock;

use faceofmind_db::{BulkStatement, StoreError, Tx, pad_with_nulls, with_conn};
use faceofmind_model::{FeedbackId, SessionId};

use crate::sessions::feedback::Rating;

static RATED: LazyLock<BulkStatement> =
    LazyLock::new(|| BulkStatement::new("SELECT session_id FROM feedback WHERE session_id IN (VALUES {rows})", 1, 1));
static INSERT: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO feedback (session_id, comment, rating) \
               SELECT column1, column2, column3 FROM (VALUES {rows}) AS new_rows WHERE column1 IS NOT NULL \
               RETURNING session_id, id";
    BulkStatement::new(sql, 1, 3)
});

/// Returns those of the sessions that have feedback.
pub(in crate::sessions) async fn rated(tx: &mut Tx, sessions: &[SessionId]) -> Result<Vec<SessionId>, StoreError> {
    let rows: Vec<(SessionId,)> = with_conn!(tx.connection(), c => {
        let mut query = sqlx::query_as(RATED.sql(sessions.len()));
        for session in pad_with_nulls(sessions.iter().copied()) {
            query = query.bind(session);
        }
        query.fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(|(session,)| session).collect())
}

/// Inserts feedback, at most one a session, and returns the ids by session.
pub(in crate::sessions) async fn insert(
    tx: &mut Tx,
    rows: &[(SessionId, &Rating)],
) -> Result<Vec<(SessionId, FeedbackId)>, StoreError> {
    Ok(with_conn!(tx.connection(), c => {
        let mut query = sqlx::query_as(INSERT.sql(rows.len()));
        for row in pad_with_nulls(rows.iter()) {
            query = query
                .bind(row.map(|(session, _)| *session))
                .bind(row.map(|(_, rating)| rating.comment.as_str()))
                .bind(row.map(|(_, rating)| rating.rating));
        }
        query.fetch_all(c).await
    })?)
}
