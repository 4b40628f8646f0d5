//! The SQL of the queue: who is mailed and why, never what.

mod fold;

use std::{sync::LazyLock, time::Duration};

use faceofmind_base::Timestamp;
use faceofmind_db::{BulkStatement, Connection, Database, MAX_ROWS, StoreError, Tx, pad_with_nulls, with_conn};
use faceofmind_model::{Email, MailPriority, MailReason, UserId};
use sqlx::FromRow;
use tokio::time::Instant;
use uuid::Uuid;

pub(super) use self::fold::{fold, waiting_new_logins};

/// The time for which a claimed job is not claimed again. While a node sends, it renews the claim every [`CLAIM_RENEWAL`], so the claim of a
/// node that died lapses, and that of a slow mail server does not. PostgreSQL's clock decides, so the clocks of the nodes may differ.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);
pub(super) const CLAIM_RENEWAL: Duration = Duration::from_secs(3);

/// A job is due at its time by the clock of the nodes (`$1`), or when its claim has lapsed. An earlier version sets no `claimed_until` and
/// moves `due_at`.
macro_rules! due {
    ($clock:literal) => {
        concat!("dead_at IS NULL AND ((claimed_until IS NULL AND due_at <= $1) OR claimed_until < ", $clock, ")")
    };
}

/// How many are due of the first unclaimed job and of the claim that lapses first, by an index each. The orders make PostgreSQL use them.
macro_rules! first_due {
    ($clock:literal) => {
        concat!(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM mail_intents ",
            "WHERE dead_at IS NULL AND claimed_until IS NULL AND due_at <= $1 ORDER BY due_at LIMIT 1) AS unclaimed) ",
            "+ (SELECT count(*) FROM (SELECT claimed_until FROM mail_intents ",
            "WHERE dead_at IS NULL AND claimed_until IS NOT NULL ORDER BY claimed_until LIMIT 1) AS claimed ",
            "WHERE claimed_until < ",
            $clock,
            ")"
        )
    };
}

/// Of the first 1,000 due jobs, the most urgent first, at most one of a recipient, and none whose recipient is being sent a mail: a recipient that hangs
/// holds one sender.
macro_rules! candidates {
    ($clock:literal) => {
        concat!(
            "SELECT id, priority FROM (SELECT id, priority, due_at, ",
            "ROW_NUMBER() OVER (PARTITION BY recipient ORDER BY priority, due_at, id) AS turn FROM (",
            "SELECT id, priority, due_at, COALESCE(CAST(user_id AS text), occasion) AS recipient FROM mail_intents ",
            "WHERE ",
            due!($clock),
            " AND priority <= $2 AND COALESCE(CAST(user_id AS text), occasion) NOT IN ",
            "(SELECT COALESCE(CAST(user_id AS text), occasion) FROM mail_intents ",
            "WHERE dead_at IS NULL AND claimed_until >= ",
            $clock,
            ") ORDER BY priority, due_at LIMIT 1000) AS due) AS ranked WHERE turn = 1 ORDER BY priority, due_at, id LIMIT $3"
        )
    };
}

/// Claims a job. `$2` is the time at which the claim lapses, for SQLite and for nodes of an earlier version.
macro_rules! claim {
    ($until:literal) => {
        concat!(
            "UPDATE mail_intents SET due_at = $2, claimed_until = ",
            $until,
            ", attempts = attempts + 1, last_error = NULL WHERE id = $1 ",
            "RETURNING id, occasion, client, request_id, created_at, attempts"
        )
    };
}

macro_rules! renew {
    ($until:literal) => {
        concat!(
            "UPDATE mail_intents SET due_at = $2, claimed_until = ",
            $until,
            " WHERE id = $1 AND attempts = $3 AND dead_at IS NULL"
        )
    };
}

/// How the error begins of an attempt whose mail may have arrived.
pub(super) const UNCLEAR: &str = "perhaps sent: ";

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
    /// The request that caused it, if any.
    pub request_id: Option<String>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// The number of attempts, this one included.
    pub attempts: u32,
    /// The waiting notices of the same kind to the same user. They are done with this one.
    pub alike: Vec<(Uuid, MailReason)>,
}

/// The numbers of jobs in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobCounts {
    /// Jobs that wait for their first or their next attempt.
    pub waiting: i64,
    /// Dead letters.
    pub dead: i64,
}

#[derive(FromRow)]
struct Row {
    id: String,
    occasion: String,
    client: String,
    request_id: Option<String>,
    created_at: Timestamp,
    attempts: i32,
}

impl Row {
    fn into_job(self) -> Option<MailJob> {
        Some(MailJob {
            id: self.id.parse().ok()?,
            reason: serde_json::from_str(&self.occasion).ok(),
            client: self.client,
            request_id: self.request_id,
            created_at: self.created_at,
            attempts: u32::try_from(self.attempts).ok()?,
            alike: Vec::new(),
        })
    }
}

/// What caused a mail.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cause<'a> {
    /// The client, or empty.
    pub client: &'a str,
    /// The request, if any. The log lines of the mail carry it.
    pub request_id: Option<&'a str>,
}

/// Queues a mail in the transaction of its reason. After the commit tell the mailer to [`Poll`](super::Poll).
pub async fn enqueue(
    tx: &mut Tx,
    id: Uuid,
    reason: &MailReason,
    cause: Cause<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    insert(tx, id, reason, cause, (now, now)).await
}

async fn insert(
    tx: &mut Tx,
    id: Uuid,
    reason: &MailReason,
    cause: Cause<'_>,
    (created, due): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    let insert = "INSERT INTO mail_intents (id, occasion, user_id, client, created_at, due_at, priority, request_id) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let occasion = serialized(reason)?;
    Ok(with_conn!(tx.connection(), c => sqlx::query(insert)
        .bind(id.to_string()).bind(occasion).bind(reason.user()).bind(cause.client).bind(created).bind(due)
        .bind(reason.priority() as i32).bind(cause.request_id)
        .execute(c).await.map(drop))?)
}

fn serialized(reason: &MailReason) -> Result<String, StoreError> {
    serde_json::to_string(reason).map_err(StoreError::encode)
}

/// Claims jobs that are due, one for each of the `free` senders. The last `for_codes` of them take codes only. Under the lock no two nodes
/// claim the same job, and none deadlock.
pub(super) async fn claim(
    db: &Database,
    free: usize,
    for_codes: usize,
    now: Timestamp,
) -> Result<Vec<MailJob>, StoreError> {
    if !is_anything_due(db, now).await? {
        return Ok(Vec::new());
    }
    let waiting = Instant::now();
    let least_urgent = if free > for_codes { MailPriority::Reminder } else { MailPriority::Code };
    let mut tx = db.begin().await?;
    tx.lock("mail intents").await?;
    // A claim lasts from when it is made: another writer may have been waited for.
    let now = now + waiting.elapsed();
    let (candidates, claim) = match tx {
        Tx::Postgres(_) => (candidates!("clock_timestamp()"), claim!("clock_timestamp() + interval '10 seconds'")),
        Tx::Sqlite(..) => (candidates!("$1"), claim!("$2")),
    };
    let limit = i64::try_from(free).unwrap_or(i64::MAX);
    let due: Vec<(String, i32)> = with_conn!(tx.connection(), c => sqlx::query_as(candidates)
        .bind(now).bind(least_urgent as i32).bind(limit).fetch_all(c).await)?;
    let mut claimed = Vec::new();
    for (taken, (id, priority)) in due.into_iter().enumerate() {
        if priority != MailPriority::Code as i32 && taken + for_codes >= free {
            break;
        }
        let row: Row = with_conn!(tx.connection(), c => sqlx::query_as(claim)
            .bind(id).bind(now + CLAIM_TIMEOUT).fetch_one(c).await)?;
        claimed.extend(row.into_job());
    }
    tx.commit().await?;
    Ok(claimed)
}

/// Renews the claim of a job that is being sent.
pub(super) async fn renew_claim(db: &Database, job: &MailJob, now: Timestamp) -> Result<(), StoreError> {
    let waiting = Instant::now();
    let mut tx = db.begin().await?;
    let now = now + waiting.elapsed();
    let renew = match tx {
        Tx::Postgres(_) => renew!("clock_timestamp() + interval '10 seconds'"),
        Tx::Sqlite(..) => renew!("$2"),
    };
    let attempts = i32::try_from(job.attempts).unwrap_or(i32::MAX);
    with_conn!(tx.connection(), c => sqlx::query(renew)
        .bind(job.id.to_string()).bind(now + CLAIM_TIMEOUT).bind(attempts)
        .execute(c).await.map(drop))?;
    tx.commit().await
}

/// Runs at every poll, and costs less than a claim.
async fn is_anything_due(db: &Database, now: Timestamp) -> Result<bool, StoreError> {
    let mut reader = db.read_conn().await?;
    let connection = reader.connection();
    let select = match connection {
        Connection::Postgres(..) => first_due!("clock_timestamp()"),
        Connection::Sqlite(..) => first_due!("$1"),
    };
    let (due,): (i64,) = with_conn!(connection, c => sqlx::query_as(select).bind(now).fetch_one(c).await)?;
    Ok(due > 0)
}

/// The mail is sent, with those alike, or there is no reason to send it any more.
pub(super) async fn mark_done(db: &Database, job: &MailJob) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    let ids: Vec<Uuid> = job.alike.iter().map(|(id, _)| *id).chain([job.id]).collect();
    for ids in ids.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let query = sqlx::query(DELETE.sql(ids.len()));
            pad_with_nulls(ids.iter()).fold(query, |query, id| query.bind(id.map(Uuid::to_string))).execute(c).await.map(drop)
        })?;
    }
    tx.commit().await
}

static DELETE: LazyLock<BulkStatement> =
    LazyLock::new(|| BulkStatement::new("DELETE FROM mail_intents WHERE id IN (VALUES {rows})", 1, 1));

/// Puts the job off, and those alike, which wait for the same mail. The claim does not count as an attempt.
pub(super) async fn put_off(db: &Database, job: &MailJob, due: Timestamp) -> Result<(), StoreError> {
    let update = "UPDATE mail_intents SET due_at = $3, claimed_until = NULL, attempts = attempts - 1 \
        WHERE id = $1 AND attempts = $2";
    let attempts = i32::try_from(job.attempts).unwrap_or(i32::MAX);
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(update)
        .bind(job.id.to_string()).bind(attempts).bind(due).execute(c).await.map(drop))?;
    delay_alike(&mut tx, job, due).await?;
    tx.commit().await
}

/// Otherwise each of them would be a mail of its own with nearly the same text.
async fn delay_alike(tx: &mut Tx, job: &MailJob, due: Timestamp) -> Result<(), StoreError> {
    for alike in job.alike.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let query = sqlx::query(DELAY.sql(alike.len())).bind(due);
            let ids = pad_with_nulls(alike.iter().map(|(id, _)| id));
            ids.fold(query, |query, id| query.bind(id.map(Uuid::to_string))).execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

static DELAY: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "UPDATE mail_intents SET due_at = $1 WHERE id IN (VALUES {rows}) AND dead_at IS NULL AND due_at < $1";
    BulkStatement::new(sql, 2, 1)
});

/// The attempt failed. The next one is at `due`, and those alike are not sent before.
pub(super) async fn reschedule(db: &Database, job: &MailJob, due: Timestamp, error: &str) -> Result<(), StoreError> {
    let update =
        "UPDATE mail_intents SET due_at = $3, last_error = $4, claimed_until = NULL WHERE id = $1 AND attempts = $2";
    let mut tx = db.begin().await?;
    end_claim(&mut tx, update, job, due, error).await?;
    delay_alike(&mut tx, job, due).await?;
    tx.commit().await
}

/// Makes the jobs due that wait after a failed attempt: mails go out again. The additional attempt is not counted: a server that fails again
/// and again would use up all attempts in a short time. A claimed job has no error, and a mail that perhaps arrived waits on.
pub(super) async fn retry_failed(db: &Database, now: Timestamp) -> Result<(), StoreError> {
    let update = "UPDATE mail_intents SET due_at = $1, attempts = CASE WHEN attempts > 1 THEN attempts - 1 ELSE attempts END \
        WHERE dead_at IS NULL AND due_at > $1 AND last_error NOT LIKE $2";
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(update)
        .bind(now).bind(format!("{UNCLEAR}%")).execute(c).await.map(drop))?;
    tx.commit().await
}

pub(super) async fn dead_letter(db: &Database, job: &MailJob, now: Timestamp, error: &str) -> Result<(), StoreError> {
    let update =
        "UPDATE mail_intents SET dead_at = $3, last_error = $4, claimed_until = NULL WHERE id = $1 AND attempts = $2";
    let mut tx = db.begin().await?;
    end_claim(&mut tx, update, job, now, error).await?;
    tx.commit().await
}

/// Updates the job unless its claim has expired and another node has claimed it.
async fn end_claim(
    tx: &mut Tx,
    update: &'static str,
    job: &MailJob,
    at: Timestamp,
    error: &str,
) -> Result<(), StoreError> {
    let attempts = i32::try_from(job.attempts).unwrap_or(i32::MAX);
    Ok(with_conn!(tx.connection(), c => sqlx::query(update)
        .bind(job.id.to_string()).bind(attempts).bind(at).bind(error)
        .execute(c).await.map(drop))?)
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

#[cfg(test)]
mod tests;
