//! The statements that write detections, over any number of rows. The caller holds the sessions' locks.

use std::sync::LazyLock;

use faceofmind_base::Timestamp;
use faceofmind_db::{BulkStatement, MAX_ROWS, Tx, pad_with_nulls, with_conn};
use faceofmind_runtime::legacy::Failure;

use faceofmind_model::session::{DetectionId, SessionId};

static DETECTIONS: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO emotion_detections (session_id, timestamp) \
               SELECT column1, column2 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL \
               RETURNING session_id, timestamp, id";
    BulkStatement::new(sql, 1, 2)
});
static FACIAL: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO facial_data (detection_id, emotion) \
               SELECT column1, column2 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL";
    BulkStatement::new(sql, 1, 2)
});
static VOICE: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO voice_data (detection_id, content) \
               SELECT column1, column2 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL";
    BulkStatement::new(sql, 1, 2)
});
static DETAILS: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO detection_details (detection_id, confidence) \
               SELECT column1, column2 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL";
    BulkStatement::new(sql, 1, 2)
});
static SUGGESTIONS: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO wellness_suggestions (detection_id, suggestion, url) \
               SELECT column1, column2, column3 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL";
    BulkStatement::new(sql, 1, 3)
});

/// A text that belongs to a detection.
pub(in crate::sessions) type TextOf<'a> = (DetectionId, &'a str);

/// Inserts them, and gives the key of each in the order of `rows`. The new rows come back in any order; of those of one session and
/// moment one is as good as another as long as nothing else belongs to them, so they go out in the order of their keys.
pub(in crate::sessions) async fn insert(
    tx: &mut Tx,
    rows: &[(SessionId, Timestamp)],
) -> Result<Vec<DetectionId>, Failure> {
    let mut inserted: Vec<(SessionId, Timestamp, DetectionId)> = Vec::with_capacity(rows.len());
    for some in rows.chunks(MAX_ROWS) {
        let returned: Vec<(SessionId, Timestamp, DetectionId)> = with_conn!(tx.connection(), c => {
            let mut query = sqlx::query_as(DETECTIONS.sql(some.len()));
            for row in pad_with_nulls(some.iter().copied()) {
                query = query.bind(row.map(|(session, _)| session)).bind(row.map(|(_, moment)| moment));
            }
            query.fetch_all(c).await
        })?;
        inserted.extend(returned);
    }
    inserted.sort_unstable();
    let mut places: Vec<usize> = (0..rows.len()).collect();
    places.sort_by_key(|&place| rows[place]);
    let mut keys: Vec<_> = places.into_iter().zip(inserted.into_iter().map(|(_, _, id)| id)).collect();
    keys.sort_unstable();
    Ok(keys.into_iter().map(|(_, id)| id).collect())
}

/// Their emotions, as they were sent.
pub(in crate::sessions) async fn facial(tx: &mut Tx, rows: &[TextOf<'_>]) -> Result<(), Failure> {
    texts(tx, &FACIAL, rows).await
}

/// What was said, sealed.
pub(in crate::sessions) async fn voice(tx: &mut Tx, rows: &[TextOf<'_>]) -> Result<(), Failure> {
    texts(tx, &VOICE, rows).await
}

/// How sure of them is who detected them.
pub(in crate::sessions) async fn details(tx: &mut Tx, rows: &[(DetectionId, f64)]) -> Result<(), Failure> {
    for some in rows.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(DETAILS.sql(some.len()));
            for row in pad_with_nulls(some.iter()) {
                query = query.bind(row.map(|(id, _)| *id)).bind(row.map(|(_, confidence)| *confidence));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// What was suggested, and its pages.
pub(in crate::sessions) async fn suggestions(
    tx: &mut Tx,
    rows: &[(DetectionId, String, Option<String>)],
) -> Result<(), Failure> {
    for some in rows.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(SUGGESTIONS.sql(some.len()));
            for row in pad_with_nulls(some.iter()) {
                query = query
                    .bind(row.map(|(id, _, _)| *id))
                    .bind(row.map(|(_, lines, _)| lines.as_str()))
                    .bind(row.and_then(|(_, _, urls)| urls.as_deref()));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

async fn texts(tx: &mut Tx, padded: &'static BulkStatement, rows: &[TextOf<'_>]) -> Result<(), Failure> {
    for some in rows.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(padded.sql(some.len()));
            for row in pad_with_nulls(some.iter()) {
                query = query.bind(row.map(|(id, _)| *id)).bind(row.map(|(_, text)| *text));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}
