//! The SQL of the queue: who is to be mailed and why, never what.

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, Database, Tx, with_conn};
use faceofmind_model::{Email, MailReason, UserId};
use faceofmind_runtime::legacy::Failure;
use sqlx::FromRow;
use uuid::Uuid;

/// An intent that somebody sends is not taken by another for so long; longer than any sending takes.
pub(super) const HELD: Duration = Duration::from_secs(120);

/// Dead letters are kept so long, for people to look at.
const DEAD_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// An intent that has been taken from the queue.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The job's id.
    pub id: Uuid,
    /// The reason; none where a later version wrote it.
    pub occasion: Option<MailReason>,
    /// The network address of the client that caused it; empty where none did.
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
    fn intent(self) -> Option<Intent> {
        Some(Intent {
            id: self.id.parse().ok()?,
            occasion: serde_json::from_str(&self.occasion).ok(),
            client: self.client,
            created_at: self.created_at,
            attempts: u32::try_from(self.attempts).ok()?,
        })
    }
}

/// Puts an intent into the queue, in the transaction of what it tells of. `client` is the network address that caused it, empty where
/// none did. After the commit call [`wake`](super::Mailer::wake).
///
/// # Errors
/// [`Failure::Store`].
pub async fn queue(tx: &mut Tx, id: Uuid, occasion: &MailReason, client: &str, now: Timestamp) -> Result<(), Failure> {
    let insert =
        "INSERT INTO mail_intents (id, occasion, user_id, client, created_at, due_at) VALUES ($1, $2, $3, $4, $5, $5)";
    Ok(with_conn!(tx.connection(), c => sqlx::query(insert)
        .bind(id.to_string()).bind(written(occasion)?).bind(occasion.user()).bind(client).bind(now)
        .execute(c).await.map(drop))?)
}

fn written(occasion: &MailReason) -> Result<String, sqlx::Error> {
    serde_json::to_string(occasion).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Takes what is due, at most `most`, for [`HELD`]. Nodes take turns: no two take the same, and none waits for another in a circle.
pub(super) async fn take(db: &Database, most: usize, now: Timestamp) -> Result<Vec<Intent>, Failure> {
    if !is_anything_due(db, now).await? {
        return Ok(Vec::new());
    }
    let update = "UPDATE mail_intents SET due_at = $2, attempts = attempts + 1 \
        WHERE id IN (SELECT id FROM mail_intents WHERE due_at <= $1 AND dead_at IS NULL ORDER BY due_at LIMIT $3) \
        RETURNING id, occasion, client, created_at, attempts";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut tx = db.begin().await?;
    tx.lock("mail intents").await?;
    let rows: Vec<Row> = with_conn!(tx.connection(), c => sqlx::query_as(update)
        .bind(now).bind(now + HELD).bind(most).fetch_all(c).await)?;
    tx.commit().await?;
    Ok(rows.into_iter().filter_map(Row::intent).collect())
}

/// Asked often, and cheaper than taking.
async fn is_anything_due(db: &Database, now: Timestamp) -> Result<bool, Failure> {
    let select = "SELECT count(*) FROM (SELECT 1 FROM mail_intents WHERE due_at <= $1 AND dead_at IS NULL LIMIT 1) due";
    let mut reader = db.read_conn().await?;
    let (due,): (i64,) = with_conn!(reader.connection(), c => sqlx::query_as(select).bind(now).fetch_one(c).await)?;
    Ok(due > 0)
}

/// It is sent, or there is no reason to send it any more.
pub(super) async fn settle(db: &Database, intent: &Intent) -> Result<(), Failure> {
    let delete = "DELETE FROM mail_intents WHERE id = $1";
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(delete).bind(intent.id.to_string()).execute(c).await.map(drop))?;
    Ok(tx.commit().await?)
}

/// It could not be sent; to be tried again at `due`.
pub(super) async fn put_back(db: &Database, intent: &Intent, due: Timestamp, error: &str) -> Result<(), Failure> {
    run(db, "UPDATE mail_intents SET due_at = $3, last_error = $4 WHERE id = $1 AND attempts = $2", intent, due, error)
        .await
}

/// It cannot be sent: a dead letter.
pub(super) async fn bury(db: &Database, intent: &Intent, now: Timestamp, error: &str) -> Result<(), Failure> {
    run(db, "UPDATE mail_intents SET dead_at = $3, last_error = $4 WHERE id = $1 AND attempts = $2", intent, now, error)
        .await
}

/// Of an intent that was held too long and taken by another, the other decides.
async fn run(db: &Database, sql: &'static str, intent: &Intent, at: Timestamp, error: &str) -> Result<(), Failure> {
    let attempts = i32::try_from(intent.attempts).unwrap_or(i32::MAX);
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(sql)
        .bind(intent.id.to_string()).bind(attempts).bind(at).bind(error)
        .execute(c).await.map(drop))?;
    Ok(tx.commit().await?)
}

/// How many wait, and how many are dead.
pub(super) async fn counts(connection: Connection<'_>) -> Result<(i64, i64), Failure> {
    let select = "SELECT COALESCE(sum(CASE WHEN dead_at IS NULL THEN 1 ELSE 0 END), 0), \
        COALESCE(sum(CASE WHEN dead_at IS NULL THEN 0 ELSE 1 END), 0) FROM mail_intents";
    Ok(with_conn!(connection, c => sqlx::query_as(select).fetch_one(c).await)?)
}

/// Removes what concerns the user, in the caller's transaction: also what was asked for with nothing but their address.
///
/// # Errors
/// [`Failure::Store`].
pub async fn erase(tx: &mut Tx, user: UserId, address: &Email) -> Result<(), Failure> {
    let delete = "DELETE FROM mail_intents WHERE user_id = $1";
    with_conn!(tx.connection(), c => sqlx::query(delete).bind(user).execute(c).await.map(drop))?;
    drop_resets(tx, address).await
}

/// Removes what was asked for with nothing but this address, which is nobody's any more, in the caller's transaction.
///
/// # Errors
/// [`Failure::Store`].
pub async fn drop_resets(tx: &mut Tx, address: &Email) -> Result<(), Failure> {
    let delete = "DELETE FROM mail_intents WHERE occasion = $1";
    let reset = written(&MailReason::PasswordReset { email: address.clone() })?;
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(reset).execute(c).await.map(drop))?)
}

pub(super) async fn sweep(db: &Database, now: Timestamp) -> Result<(), Failure> {
    let delete = "DELETE FROM mail_intents WHERE dead_at < $1";
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(delete).bind(now - DEAD_KEPT).execute(c).await.map(drop))?;
    Ok(tx.commit().await?)
}
