//! The statements that write detections, over any number of rows. The caller holds the sessions' locks.

use std::sync::LazyLock;

use faceofmind_kit::{
    Failure, Padded, Timestamp, Tx, on,
    padded::{MOST_ROWS, filled},
};

use crate::session_tracker::session::{DetectionId, SessionId};

static DETECTIONS: LazyLock<Padded> = LazyLock::new(|| {
    let sql = "INSERT INTO emotion_detections (session_id, timestamp) \
               SELECT column1, column2 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL \
               RETURNING session_id, timestamp, id";
    Padded::new(sql, 1, 2)
});
static FACIAL: LazyLock<Padded> = LazyLock::new(|| {
    let sql = "INSERT INTO facial_data (detection_id, emotion) \
               SELECT column1, column2 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL";
    Padded::new(sql, 1, 2)
});
static VOICE: LazyLock<Padded> = LazyLock::new(|| {
    let sql = "INSERT INTO voice_data (detection_id, content) \
               SELECT column1, column2 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL";
    Padded::new(sql, 1, 2)
});
static DETAILS: LazyLock<Padded> = LazyLock::new(|| {
    let sql = "INSERT INTO detection_details (detection_id, confidence) \
               SELECT column1, column2 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL";
    Padded::new(sql, 1, 2)
});
static SUGGESTIONS: LazyLock<Padded> = LazyLock::new(|| {
    let sql = "INSERT INTO wellness_suggestions (detection_id, suggestion, url) \
               SELECT column1, column2, column3 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL";
    Padded::new(sql, 1, 3)
});

/// A text that belongs to a detection.
pub(in crate::session_tracker) type TextOf<'a> = (DetectionId, &'a str);

/// Inserts them, and gives the key of each in the order of `rows`. The new rows come back in any order; of those of one session and
/// moment one is as good as another as long as nothing else belongs to them, so they go out in the order of their keys.
pub(in crate::session_tracker) async fn insert(
    tx: &mut Tx,
    rows: &[(SessionId, Timestamp)],
) -> Result<Vec<DetectionId>, Failure> {
    let mut inserted: Vec<(SessionId, Timestamp, DetectionId)> = Vec::with_capacity(rows.len());
    for some in rows.chunks(MOST_ROWS) {
        let returned: Vec<(SessionId, Timestamp, DetectionId)> = on!(tx.connection(), c => {
            let mut query = sqlx::query_as(DETECTIONS.text(some.len()));
            for row in filled(some.iter().copied()) {
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
pub(in crate::session_tracker) async fn facial(tx: &mut Tx, rows: &[TextOf<'_>]) -> Result<(), Failure> {
    texts(tx, &FACIAL, rows).await
}

/// What was said, sealed.
pub(in crate::session_tracker) async fn voice(tx: &mut Tx, rows: &[TextOf<'_>]) -> Result<(), Failure> {
    texts(tx, &VOICE, rows).await
}

/// How sure of them is who detected them.
pub(in crate::session_tracker) async fn details(tx: &mut Tx, rows: &[(DetectionId, f64)]) -> Result<(), Failure> {
    for some in rows.chunks(MOST_ROWS) {
        on!(tx.connection(), c => {
            let mut query = sqlx::query(DETAILS.text(some.len()));
            for row in filled(some.iter()) {
                query = query.bind(row.map(|(id, _)| *id)).bind(row.map(|(_, confidence)| *confidence));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// What was suggested, and its pages.
pub(in crate::session_tracker) async fn suggestions(
    tx: &mut Tx,
    rows: &[(DetectionId, String, Option<String>)],
) -> Result<(), Failure> {
    for some in rows.chunks(MOST_ROWS) {
        on!(tx.connection(), c => {
            let mut query = sqlx::query(SUGGESTIONS.text(some.len()));
            for row in filled(some.iter()) {
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

async fn texts(tx: &mut Tx, padded: &'static Padded, rows: &[TextOf<'_>]) -> Result<(), Failure> {
    for some in rows.chunks(MOST_ROWS) {
        on!(tx.connection(), c => {
            let mut query = sqlx::query(padded.text(some.len()));
            for row in filled(some.iter()) {
                query = query.bind(row.map(|(id, _)| *id)).bind(row.map(|(_, text)| *text));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}
