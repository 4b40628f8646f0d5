//! The statements about feedback. The caller holds the sessions' locks: nothing else keeps a session from having two.

use std::sync::LazyLock;

use faceofmind_kit::{Failure, Padded, Tx, on, padded::filled};

use crate::session_tracker::{
    feedback::Rating,
    session::{FeedbackId, SessionId},
};

static RATED: LazyLock<Padded> =
    LazyLock::new(|| Padded::new("SELECT session_id FROM feedback WHERE session_id IN (VALUES {rows})", 1, 1));
static INSERT: LazyLock<Padded> = LazyLock::new(|| {
    let sql = "INSERT INTO feedback (session_id, comment, rating) \
               SELECT column1, column2, column3 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL \
               RETURNING session_id, id";
    Padded::new(sql, 1, 3)
});

/// Those of the sessions that have their feedback.
pub(in crate::session_tracker) async fn rated(tx: &mut Tx, sessions: &[SessionId]) -> Result<Vec<SessionId>, Failure> {
    let rows: Vec<(SessionId,)> = on!(tx.connection(), c => {
        let mut query = sqlx::query_as(RATED.text(sessions.len()));
        for session in filled(sessions.iter().copied()) {
            query = query.bind(session);
        }
        query.fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(|(session,)| session).collect())
}

/// Inserts one for each session, none of which stands there twice; the keys by session.
pub(in crate::session_tracker) async fn insert(
    tx: &mut Tx,
    rows: &[(SessionId, &Rating)],
) -> Result<Vec<(SessionId, FeedbackId)>, Failure> {
    Ok(on!(tx.connection(), c => {
        let mut query = sqlx::query_as(INSERT.text(rows.len()));
        for row in filled(rows.iter()) {
            query = query
                .bind(row.map(|(session, _)| *session))
                .bind(row.map(|(_, rating)| rating.comment.as_str()))
                .bind(row.map(|(_, rating)| rating.rating));
        }
        query.fetch_all(c).await
    })?)
}
