//! Notices that wait to be sent as one mail.

use faceofmind_base::Timestamp;
use faceofmind_db::{Database, StoreError, Tx, with_conn};
use faceofmind_model::{FoldedNotices, MailReason, UserId};
use uuid::Uuid;

use super::{Cause, MailJob, insert, serialized};

/// Returns up to 1,000 other notices of new log-ins that wait for the user. One that failed waits for its own turn. No node sends one of them
/// meanwhile, because a recipient is sent one mail at a time.
pub(in crate::mail) async fn waiting_new_logins(
    db: &Database,
    job: &MailJob,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<(Uuid, MailReason)>, StoreError> {
    let select = "SELECT id, occasion FROM mail_intents WHERE user_id = $1 AND id <> $2 AND dead_at IS NULL \
        AND (attempts = 0 OR due_at <= $3) AND occasion LIKE '{\"why\":\"new_device\",%' ORDER BY id LIMIT 1000";
    let mut reader = db.read_conn().await?;
    let rows: Vec<(String, String)> = with_conn!(reader.connection(), c => sqlx::query_as(select)
        .bind(user).bind(job.id.to_string()).bind(now).fetch_all(c).await)?;
    let read = |(id, occasion): (String, String)| Some((id.parse().ok()?, serde_json::from_str(&occasion).ok()?));
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Replaces the claimed job by these notices, unless another node has claimed it. If a job of their kind waits, they are added to it. Otherwise
/// they become a job with this id, due at `due`.
///
/// *Guarantees*: one job of a kind waits for a user. *Why* not a job that was tried: its mail may have arrived, and must say the same when it
/// is sent again. The lock is that of [`claim`](super::claim), so the job that waits is not claimed meanwhile.
pub(in crate::mail) async fn fold(
    db: &Database,
    job: &MailJob,
    (id, notices): (Uuid, FoldedNotices),
    due: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    tx.lock("mail intents").await?;
    if !delete_claimed(&mut tx, job).await? {
        return Ok(());
    }
    if let Some((waiting, merged)) = find_waiting(&mut tx, &notices).await? {
        let (update, occasion) = ("UPDATE mail_intents SET occasion = $2 WHERE id = $1", serialized(&merged)?);
        with_conn!(tx.connection(), c => sqlx::query(update).bind(waiting).bind(occasion).execute(c).await.map(drop))?;
    } else {
        let cause = Cause { client: "", request_id: job.request_id.as_deref() };
        insert(&mut tx, id, &MailReason::FoldedNotices(notices), cause, (job.created_at, due)).await?;
    }
    tx.commit().await
}

async fn delete_claimed(tx: &mut Tx, job: &MailJob) -> Result<bool, StoreError> {
    let delete = "DELETE FROM mail_intents WHERE id = $1 AND attempts = $2 AND dead_at IS NULL";
    let attempts = i32::try_from(job.attempts).unwrap_or(i32::MAX);
    let deleted = with_conn!(tx.connection(), c => sqlx::query(delete)
        .bind(job.id.to_string()).bind(attempts).execute(c).await.map(|done| done.rows_affected()))?;
    Ok(deleted > 0)
}

/// Returns the waiting job of the same kind, and what it is about with these notices.
async fn find_waiting(tx: &mut Tx, notices: &FoldedNotices) -> Result<Option<(String, MailReason)>, StoreError> {
    let select = "SELECT id, occasion FROM mail_intents WHERE user_id = $1 AND attempts = 0 AND dead_at IS NULL \
        AND occasion LIKE '{\"why\":\"folded_notices\",%' ORDER BY id";
    let rows: Vec<(String, String)> =
        with_conn!(tx.connection(), c => sqlx::query_as(select).bind(notices.user).fetch_all(c).await)?;
    Ok(rows.into_iter().find_map(|(id, occasion)| match serde_json::from_str(&occasion).ok()? {
        MailReason::FoldedNotices(waiting) => Some((id, MailReason::FoldedNotices(waiting.merge(notices)?))),
        _ => None,
    }))
}
