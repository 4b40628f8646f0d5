//! Codes in the table `codes`. Each transaction locks the codes of its address and purpose, so that issuing and verifying are atomic.

use faceofmind_base::Timestamp;
use faceofmind_db::{Database, StoreError, Tx, with_conn};
use faceofmind_model::ClaimId;

use super::{FoundCode, NewCode, OnMiss};
use crate::otp::{
    IssueQuota, OnMatch,
    messages::CodeKey,
    quota::{MAX_CODE_ATTEMPTS, PreviousIssue},
};

const PREVIOUS: &str = "SELECT intent, client FROM codes WHERE address = $1 AND purpose = $2 AND minted_at > $3 \
     AND abs(tries_left) <= $4";
const INSERT: &str = "INSERT INTO codes \
     (id, purpose, address, mac, claim_id, intent, client, tries_left, minted_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const LIVE: &str = "SELECT id, claim_id, mac FROM codes \
     WHERE address = $1 AND purpose = $2 AND tries_left > 0 AND expires_at > $3 ORDER BY minted_at DESC";
const COUNT_LIVE: &str = "SELECT count(*) FROM codes \
     WHERE address = $1 AND purpose = $2 AND tries_left > 0 AND tries_left <= $4 AND expires_at > $3";
const CONSUME: &str = "UPDATE codes SET tries_left = -tries_left WHERE id = $1 AND tries_left > 0 AND expires_at > $2";
const UNCONSUME: &str = "UPDATE codes SET tries_left = -tries_left WHERE id = $1 AND tries_left < 0";
const COUNT_FAILURE: &str = "UPDATE codes SET tries_left = tries_left - 1 \
     WHERE address = $1 AND purpose = $2 AND tries_left > 0 AND expires_at > $3";
const DUMMY_WRITE: &str = "INSERT INTO codes \
     (id, purpose, address, mac, intent, client, tries_left, minted_at, expires_at) \
     VALUES ($1, 'wrong_guess', $2, '', '', '', 0, $3, $3) \
     ON CONFLICT (id) DO UPDATE SET minted_at = excluded.minted_at";
const REVOKE: &str = "DELETE FROM codes WHERE address = $1 AND purpose = $2";
const SWEEP: &str = "DELETE FROM codes WHERE minted_at <= $1";

pub(super) async fn issue(
    db: &Database,
    key: &CodeKey,
    code: &NewCode,
    quota: &IssueQuota,
) -> Result<bool, StoreError> {
    let mut tx = locked(db, key).await?;
    let previous = previous(&mut tx, key, code.issued_at - quota.window).await?;
    if !quota.allows(&code.job, &code.client, &previous) {
        return Ok(false);
    }
    with_conn!(tx.connection(), c => sqlx::query(INSERT)
        .bind(&code.id).bind(key.purpose.as_str()).bind(&key.address).bind(&code.mac).bind(code.claim)
        .bind(&code.job).bind(&code.client).bind(code.attempts_left).bind(code.issued_at).bind(code.expires_at)
        .execute(c).await.map(drop))?;
    tx.commit().await?;
    Ok(true)
}

async fn previous(tx: &mut Tx, key: &CodeKey, after: Timestamp) -> Result<Vec<PreviousIssue>, StoreError> {
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(PREVIOUS)
        .bind(&key.address).bind(key.purpose.as_str()).bind(after).bind(MAX_CODE_ATTEMPTS)
        .fetch_all(c).await)?)
}

pub(super) async fn verify(
    db: &Database,
    key: &CodeKey,
    mac: &str,
    now: Timestamp,
    (on_match, on_miss): (OnMatch, OnMiss),
) -> Result<Option<FoundCode>, StoreError> {
    let mut tx = locked(db, key).await?;
    let found = find(&mut tx, key, mac, now).await?;
    let matched = match (&found, on_match) {
        (None, _) if on_miss == OnMiss::Ignore => false,
        (None, _) => count_failure(&mut tx, key, now).await.map(|()| false)?,
        (Some(_), OnMatch::Keep) => true,
        (Some((id, _)), OnMatch::Consume) => consume_in(&mut tx, id, now).await?,
    };
    tx.commit().await?;
    Ok(found.filter(|_| matched))
}

/// Returns the newest live code of this keyed hash. The time of the comparison reveals at most the hash, which no client can choose.
async fn find(tx: &mut Tx, key: &CodeKey, mac: &str, now: Timestamp) -> Result<Option<FoundCode>, StoreError> {
    let live: Vec<(String, Option<ClaimId>, String)> = with_conn!(tx.connection(), c => sqlx::query_as(LIVE)
        .bind(&key.address).bind(key.purpose.as_str()).bind(now)
        .fetch_all(c).await)?;
    let right = live.into_iter().find(|(_, _, stored)| stored == mac);
    Ok(right.map(|(id, claim, _)| (id, claim)))
}

/// Takes an attempt from each live code. The dummy write keeps the cost of an address without codes equal, so that timing does not reveal
/// which addresses have codes.
async fn count_failure(tx: &mut Tx, key: &CodeKey, now: Timestamp) -> Result<(), StoreError> {
    with_conn!(tx.connection(), c => sqlx::query(COUNT_FAILURE)
        .bind(&key.address).bind(key.purpose.as_str()).bind(now)
        .execute(c).await.map(drop))?;
    let id = format!("wrong {} {}", key.purpose.as_str(), key.address);
    with_conn!(tx.connection(), c => sqlx::query(DUMMY_WRITE)
        .bind(id).bind(&key.address).bind(now)
        .execute(c).await.map(drop))?;
    Ok(())
}

pub(super) async fn count_live(
    db: &Database,
    key: &CodeKey,
    now: Timestamp,
    max_attempts: i32,
) -> Result<usize, StoreError> {
    let mut reader = db.read_conn().await?;
    let (live,): (i64,) = with_conn!(reader.connection(), c => sqlx::query_as(COUNT_LIVE)
        .bind(&key.address).bind(key.purpose.as_str()).bind(now).bind(max_attempts)
        .fetch_one(c).await)?;
    Ok(usize::try_from(live).unwrap_or(0))
}

pub(super) async fn consume(db: &Database, key: &CodeKey, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let mut tx = locked(db, key).await?;
    let consumed = consume_in(&mut tx, id, now).await?;
    tx.commit().await?;
    Ok(consumed)
}

async fn consume_in(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let consumed = with_conn!(tx.connection(), c => sqlx::query(CONSUME)
        .bind(id).bind(now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(consumed == 1)
}

pub(super) async fn unconsume(db: &Database, key: &CodeKey, id: &str) -> Result<(), StoreError> {
    let mut tx = locked(db, key).await?;
    with_conn!(tx.connection(), c => sqlx::query(UNCONSUME).bind(id).execute(c).await.map(drop))?;
    tx.commit().await
}

pub(super) async fn revoke(db: &Database, key: &CodeKey) -> Result<(), StoreError> {
    let mut tx = locked(db, key).await?;
    with_conn!(tx.connection(), c => sqlx::query(REVOKE)
        .bind(&key.address).bind(key.purpose.as_str())
        .execute(c).await.map(drop))?;
    tx.commit().await
}

pub(super) async fn sweep(db: &Database, until: Timestamp) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(SWEEP).bind(until).execute(c).await.map(drop))?;
    tx.commit().await
}

async fn locked(db: &Database, key: &CodeKey) -> Result<Tx, StoreError> {
    let mut tx = db.begin().await?;
    tx.lock(&format!("otp {} {}", key.purpose.as_str(), key.address)).await?;
    Ok(tx)
}
