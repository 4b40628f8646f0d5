//! The SQL of the queue: who is mailed and why, never what.

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, Database, StoreError, Tx, with_conn};
use faceofmind_model::{Email, MailReason, UserId};
use sqlx::FromRow;
use uuid::Uuid;

use super::JobCounts;

/// The time for which a claimed job is not claimed again. Sending a mail takes less.
pub const CLAIM_TIMEOUT: Duration = Duration::from_secs(120);

/// Operators can inspect dead letters for this time.
const DEAD_LETTER_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// A claimed job.
#[derive(Clone, Debug)]
pub struct MailJob {
    pub id: Uuid,
    /// `None` where a later version wrote it.
    pub reason: Option<MailReason>,
    /// The client that caused it, or empty.
    pub client: String,
    /// When it was queued.
    pub created_at: Timestamp,
    /// The number of attempts, this one included.
    pub attempts: u32,
}

#[derive(FromRow)]
struct Row {
    id: String,
    occasion: String,
    client: String,
    created_at: Timestamp,
    attempts: i32,
}

impl Row {
    fn into_job(self) -> Option<MailJob> {
        Some(MailJob {
            id: self.id.parse().ok()?,
            reason: serde_json::from_str(&self.occasion).ok(),
            client: self.client,
            created_at: self.created_at,
            attempts: u32::try_from(self.attempts).ok()?,
        })
    }
}

/// Queues a mail in the transaction of its reason. `client` is the client that caused it, or empty. After the commit tell the mailer to
/// [`Poll`](super::Poll).
pub async fn enqueue(
    tx: &mut Tx,
    id: Uuid,
    reason: &MailReason,
    client: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let insert =
        "INSERT INTO mail_intents (id, occasion, user_id, client, created_at, due_at) VALUES ($1, $2, $3, $4, $5, $5)";
    let occasion = serialized(reason)?;
    Ok(with_conn!(tx.connection(), c => sqlx::query(insert)
        .bind(id.to_string()).bind(occasion).bind(reason.user()).bind(client).bind(now)
        .execute(c).await.map(drop))?)
}

fn serialized(reason: &MailReason) -> Result<String, StoreError> {
    serde_json::to_string(reason).map_err(StoreError::encode)
}

/// Claims at most `max` jobs that are due, for [`CLAIM_TIMEOUT`]. Under the lock no two nodes claim the same job, and none deadlock.
pub(super) async fn claim(db: &Database, max: usize, now: Timestamp) -> Result<Vec<MailJob>, StoreError> {
    if !is_anything_due(db, now).await? {
        return Ok(Vec::new());
    }
    let update = "UPDATE mail_intents SET due_at = $2, attempts = attempts + 1, last_error = NULL \
        WHERE id IN (SELECT id FROM mail_intents WHERE due_at <= $1 AND dead_at IS NULL ORDER BY due_at LIMIT $3) \
        RETURNING id, occasion, client, created_at, attempts";
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let mut tx = db.begin().await?;
    tx.lock("mail intents").await?;
    let rows: Vec<Row> = with_conn!(tx.connection(), c => sqlx::query_as(update)
        .bind(now).bind(now + CLAIM_TIMEOUT).bind(max).fetch_all(c).await)?;
    tx.commit().await?;
    Ok(rows.into_iter().filter_map(Row::into_job).collect())
}

/// Runs at every poll, and costs less than a claim.
async fn is_anything_due(db: &Database, now: Timestamp) -> Result<bool, StoreError> {
    let select = "SELECT count(*) FROM (SELECT 1 FROM mail_intents WHERE due_at <= $1 AND dead_at IS NULL LIMIT 1) due";
    let mut reader = db.read_conn().await?;
    let (due,): (i64,) = with_conn!(reader.connection(), c => sqlx::query_as(select).bind(now).fetch_one(c).await)?;
    Ok(due > 0)
}

/// The mail is sent, or there is no reason to send it any more.
pub(super) async fn mark_done(db: &Database, job: &MailJob) -> Result<(), StoreError> {
    let delete = "DELETE FROM mail_intents WHERE id = $1";
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(delete).bind(job.id.to_string()).execute(c).await.map(drop))?;
    tx.commit().await
}

/// The attempt failed. The next one is at `due`.
pub(super) async fn reschedule(db: &Database, job: &MailJob, due: Timestamp, error: &str) -> Result<(), StoreError> {
    run(db, "UPDATE mail_intents SET due_at = $3, last_error = $4 WHERE id = $1 AND attempts = $2", job, due, error)
        .await
}

/// Makes the jobs due that wait after a failed attempt: mails go out again. A claimed job has no error.
pub(super) async fn retry_failed(db: &Database, now: Timestamp) -> Result<(), StoreError> {
    let update = "UPDATE mail_intents SET due_at = $1 WHERE dead_at IS NULL AND last_error IS NOT NULL AND due_at > $1";
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(update).bind(now).execute(c).await.map(drop))?;
    tx.commit().await
}

pub(super) async fn dead_letter(db: &Database, job: &MailJob, now: Timestamp, error: &str) -> Result<(), StoreError> {
    run(db, "UPDATE mail_intents SET dead_at = $3, last_error = $4 WHERE id = $1 AND attempts = $2", job, now, error)
        .await
}

/// Updates the job unless its claim has expired and another node has claimed it.
async fn run(db: &Database, sql: &'static str, job: &MailJob, at: Timestamp, error: &str) -> Result<(), StoreError> {
    let attempts = i32::try_from(job.attempts).unwrap_or(i32::MAX);
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(sql)
        .bind(job.id.to_string()).bind(attempts).bind(at).bind(error)
        .execute(c).await.map(drop))?;
    tx.commit().await
}

pub(super) async fn count(connection: Connection<'_>) -> Result<JobCounts, StoreError> {
    let select = "SELECT COALESCE(sum(CASE WHEN dead_at IS NULL THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN dead_at IS NULL THEN 0 ELSE 1 END), 0) FROM mail_intents";
    let (waiting, dead) = with_conn!(connection, c => sqlx::query_as(select).fetch_one(c).await)?;
    Ok(JobCounts { waiting, dead })
}

/// Deletes the user's jobs, and the password resets of the address, in the caller's transaction.
pub async fn erase(tx: &mut Tx, user: UserId, address: &Email) -> Result<(), StoreError> {
    let delete = "DELETE FROM mail_intents WHERE user_id = $1";
    with_conn!(tx.connection(), c => sqlx::query(delete).bind(user).execute(c).await.map(drop))?;
    delete_password_resets(tx, address).await
}

/// Deletes the password resets of an address that no longer belongs to an account, in the caller's transaction. A reset names no user, only
/// the address for which it was requested.
pub async fn delete_password_resets(tx: &mut Tx, address: &Email) -> Result<(), StoreError> {
    let delete = "DELETE FROM mail_intents WHERE occasion = $1";
    let reset = serialized(&MailReason::PasswordReset { email: address.clone() })?;
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(reset).execute(c).await.map(drop))?)
}

pub(super) async fn sweep(db: &Database, now: Timestamp) -> Result<(), StoreError> {
    let delete = "DELETE FROM mail_intents WHERE dead_at < $1";
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(delete).bind(now - DEAD_LETTER_RETENTION).execute(c).await.map(drop))?;
    tx.commit().await
}
