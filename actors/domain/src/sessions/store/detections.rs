//! The SQL that inserts detections, over any number of rows. The caller holds the sessions' locks.

use std::sync::LazyLock;

use faceofmind_base::Timestamp;
use faceofmind_db::{BulkStatement, MAX_ROWS, StoreError, Tx, pad_with_nulls, with_conn};
use faceofmind_model::{DetectionId, SessionId};

static DETECTIONS: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO emotion_detections (session_id, timestamp) \
               SELECT column1, column2 FROM (VALUES {rows}) AS new_rows WHERE column1 IS NOT NULL \
               RETURNING session_id, timestamp, id";
    BulkStatement::new(sql, 1, 2)
});
/// Emotions as the clients sent them.
pub(in crate::sessions) static FACES: LazyLock<BulkStatement> =
    LazyLock::new(|| insert_two("facial_data (detection_id, emotion)"));
/// Encrypted voice texts.
pub(in crate::sessions) static VOICES: LazyLock<BulkStatement> =
    LazyLock::new(|| insert_two("voice_data (detection_id, content)"));
static DETAILS: LazyLock<BulkStatement> = LazyLock::new(|| insert_two("detection_details (detection_id, confidence)"));
static SUGGESTIONS: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO wellness_suggestions (detection_id, suggestion, url) \
               SELECT column1, column2, column3 FROM (VALUES {rows}) AS new_rows WHERE column1 IS NOT NULL";
    BulkStatement::new(sql, 1, 3)
});

fn insert_two(columns: &str) -> BulkStatement {
    let rows = "(VALUES {rows}) AS new_rows WHERE column1 IS NOT NULL";
    BulkStatement::new(&format!("INSERT INTO {columns} SELECT column1, column2 FROM {rows}"), 1, 2)
}

/// Inserts detections, and returns their ids in the order of `rows`. The new rows come back in any order. Those with the same session and
/// timestamp are alike until other rows belong to them, so they are taken in the order of their ids.
pub(in crate::sessions) async fn insert(
    tx: &mut Tx,
    rows: &[(SessionId, Timestamp)],
) -> Result<Vec<DetectionId>, StoreError> {
    let mut inserted: Vec<(SessionId, Timestamp, DetectionId)> = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(MAX_ROWS) {
        let returned: Vec<(SessionId, Timestamp, DetectionId)> = with_conn!(tx.connection(), c => {
            let mut query = sqlx::query_as(DETECTIONS.sql(chunk.len()));
            for row in pad_with_nulls(chunk.iter().copied()) {
                query = query.bind(row.map(|(session, _)| session)).bind(row.map(|(_, timestamp)| timestamp));
            }
            query.fetch_all(c).await
        })?;
        inserted.extend(returned);
    }
    inserted.sort_unstable();
    let mut indices: Vec<usize> = (0..rows.len()).collect();
    indices.sort_by_key(|&index| rows[index]);
    let mut ids: Vec<_> = indices.into_iter().zip(inserted.into_iter().map(|(_, _, id)| id)).collect();
    ids.sort_unstable();
    Ok(ids.into_iter().map(|(_, id)| id).collect())
}

/// Inserts the detectors' confidence.
pub(in crate::sessions) async fn details(tx: &mut Tx, rows: &[(DetectionId, f64)]) -> Result<(), StoreError> {
    for chunk in rows.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(DETAILS.sql(chunk.len()));
            for row in pad_with_nulls(chunk.iter()) {
                query = query.bind(row.map(|(id, _)| *id)).bind(row.map(|(_, confidence)| *confidence));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// Inserts suggestions and their web pages.
pub(in crate::sessions) async fn suggestions(
    tx: &mut Tx,
    rows: &[(DetectionId, String, Option<String>)],
) -> Result<(), StoreError> {
    for chunk in rows.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(SUGGESTIONS.sql(chunk.len()));
            for row in pad_with_nulls(chunk.iter()) {
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

/// Inserts a text for each of these detections.
pub(in crate::sessions) async fn insert_texts(
    tx: &mut Tx,
    statement: &'static BulkStatement,
    rows: &[(DetectionId, &str)],
) -> Result<(), StoreError> {
    for chunk in rows.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(statement.sql(chunk.len()));
            for row in pad_with_nulls(chunk.iter()) {
                query = query.bind(row.map(|(id, _)| *id)).bind(row.map(|(_, text)| *text));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}
