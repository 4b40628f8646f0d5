//! Re-encryption of voice texts, beside a running service.

use faceofmind_db::{Database, StoreError, Tx, with_conn};
use faceofmind_platform::encryption::RotationPass;
use futures_util::TryStreamExt as _;
use sqlx::FromRow;

use super::{detection::voice_aad, history::VoiceId, session::DetectionId};

/// Texts in one transaction. SQLite's other writers wait for it.
const PAGE_SIZE: i64 = 200;
/// A page ends when its texts have that many bytes.
const PAGE_BYTES: usize = 4 << 20;

const PAGE: &str = "SELECT id, detection_id, content FROM voice_data WHERE id > $1 ORDER BY id LIMIT $2";
const REPLACE: &str = "UPDATE voice_data SET content = $3 WHERE id = $1 AND content = $2";
/// Skips locked rows, to avoid deadlocks. A locked row is about to be deleted, or another rotation is re-encrypting it.
const REPLACE_IF_UNLOCKED: &str = "UPDATE voice_data SET content = $3 WHERE id IN \
    (SELECT id FROM voice_data WHERE id = $1 AND content = $2 FOR UPDATE SKIP LOCKED)";

#[derive(FromRow)]
struct Row {
    id: VoiceId,
    detection_id: DetectionId,
    content: String,
}

/// Re-encrypts the voice texts, page by page, each page in one transaction. A text that changes meanwhile is skipped. After an error the
/// pages before stay re-encrypted.
pub async fn reencrypt(db: &Database, pass: &mut RotationPass<'_>) -> Result<(), StoreError> {
    let mut after = VoiceId(0);
    loop {
        let mut reader = db.read_conn().await?;
        let page = with_conn!(reader.connection(), c => {
            let mut rows = sqlx::query_as(PAGE).bind(after).bind(PAGE_SIZE).fetch(c);
            let (mut page, mut bytes) = (Vec::new(), 0);
            while bytes < PAGE_BYTES {
                let row: Option<Row> = rows.try_next().await?;
                let Some(row) = row else { break };
                bytes += row.content.len();
                page.push(row);
            }
            Ok(page)
        })?;
        drop(reader);
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        let renewed = page.into_iter().filter_map(|row| {
            let new = pass.visit(&voice_aad(row.detection_id), &row.content)?;
            Some((row, new))
        });
        let replaced = replace(db, renewed.collect()).await?;
        pass.page_done(replaced);
    }
}

async fn replace(db: &Database, renewed: Vec<(Row, String)>) -> Result<u64, StoreError> {
    if renewed.is_empty() {
        return Ok(0);
    }
    let mut replaced = 0;
    let mut tx = db.begin().await?;
    let sql = if matches!(tx, Tx::Postgres(_)) { REPLACE_IF_UNLOCKED } else { REPLACE };
    for (old, new) in renewed {
        replaced += with_conn!(tx.connection(), c => sqlx::query(sql)
            .bind(old.id).bind(old.content).bind(new).execute(c).await.map(|done| done.rows_affected()))?;
    }
    tx.commit().await?;
    Ok(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sessions::session::SessionId, testing};

    #[tokio::test]
    async fn a_changed_or_locked_text_is_skipped() {
        let insert = "INSERT INTO voice_data (detection_id, content) VALUES ($1, 'as it is') RETURNING id";
        for db in testing::databases().await {
            let ada = testing::user(&db, "ada@example.org").await;
            let mut tx = db.begin().await.expect("begins");
            let (session,): (SessionId,) = with_conn!(tx.connection(), c =>
                sqlx::query_as("INSERT INTO sessions (user_id, start_time) VALUES ($1, $2) RETURNING id")
                    .bind(ada).bind(faceofmind_base::Timestamp::from_micros(0)).fetch_one(c).await)
            .expect("inserts");
            let (detection_id,): (DetectionId,) = with_conn!(tx.connection(), c =>
                sqlx::query_as("INSERT INTO emotion_detections (session_id, timestamp) VALUES ($1, $2) RETURNING id")
                    .bind(session).bind(faceofmind_base::Timestamp::from_micros(0)).fetch_one(c).await)
            .expect("inserts");
            let (id,): (VoiceId,) =
                with_conn!(tx.connection(), c => sqlx::query_as(insert).bind(detection_id).fetch_one(c).await)
                    .expect("inserts");
            tx.commit().await.expect("commits");
            let row = |content: &str| (Row { id, detection_id, content: content.to_owned() }, "new".to_owned());

            assert_eq!(replace(&db, vec![row("as it was read")]).await.expect("writes"), 0);
            if matches!(db, Database::Postgres(_)) {
                let mut other = db.begin().await.expect("begins");
                let lock = "UPDATE voice_data SET content = content WHERE id = $1";
                with_conn!(other.connection(), c => sqlx::query(lock).bind(id).execute(c).await.map(drop))
                    .expect("locks");
                assert_eq!(replace(&db, vec![row("as it is")]).await.expect("does not wait"), 0);
                other.rollback().await.expect("rolls back");
            }
            assert_eq!(replace(&db, vec![row("as it is")]).await.expect("writes"), 1);
            db.close().await;
        }
    }
}
