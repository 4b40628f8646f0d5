//! Codes in the table `codes`. Whoever touches those of an address and purpose holds a lock of that name, so that nobody else counts or
//! guesses meanwhile.

use faceofmind_base::Timestamp;
use faceofmind_db::{Database, Tx, with_conn};
use faceofmind_runtime::legacy::Failure;

use super::{Found, NewCode, Then};
use crate::otp::Budget;
use crate::otp::budget::Earlier;
use crate::otp::request::Slot;
use faceofmind_model::user::ClaimId;

const EARLIER: &str = "SELECT intent, client FROM codes WHERE address = $1 AND purpose = $2 AND minted_at > $3";
const INSERT: &str = "INSERT INTO codes \
     (id, purpose, address, mac, claim_id, intent, client, tries_left, minted_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const LIVE: &str = "SELECT id, claim_id, mac FROM codes \
     WHERE address = $1 AND purpose = $2 AND tries_left > 0 AND expires_at > $3 ORDER BY minted_at DESC";
const CONSUME: &str = "UPDATE codes SET tries_left = -tries_left WHERE id = $1 AND tries_left > 0 AND expires_at > $2";
const RESTORE: &str = "UPDATE codes SET tries_left = -tries_left WHERE id = $1 AND tries_left < 0";
const CHARGE: &str = "UPDATE codes SET tries_left = tries_left - 1 \
     WHERE address = $1 AND purpose = $2 AND tries_left > 0 AND expires_at > $3";
const NOTE: &str = "INSERT INTO codes \
     (id, purpose, address, mac, intent, client, tries_left, minted_at, expires_at) \
     VALUES ($1, 'wrong_guess', $2, '', '', '', 0, $3, $3) \
     ON CONFLICT (id) DO UPDATE SET minted_at = excluded.minted_at";
const FORGET: &str = "DELETE FROM codes WHERE address = $1 AND purpose = $2";
const SWEEP: &str = "DELETE FROM codes WHERE minted_at <= $1";

pub(super) async fn mint(db: &Database, slot: &Slot, code: &NewCode, budget: &Budget) -> Result<bool, Failure> {
    let mut tx = locked(db, slot).await?;
    let earlier = earlier(&mut tx, slot, code.minted_at - budget.within).await?;
    if !budget.allows(&code.intent, &code.client, &earlier) {
        return Ok(false);
    }
    with_conn!(tx.connection(), c => sqlx::query(INSERT)
        .bind(&code.id).bind(slot.purpose.as_str()).bind(&slot.address).bind(&code.mac).bind(code.claim)
        .bind(&code.intent).bind(&code.client).bind(code.tries).bind(code.minted_at).bind(code.expires_at)
        .execute(c).await.map(drop))?;
    tx.commit().await?;
    Ok(true)
}

async fn earlier(tx: &mut Tx, slot: &Slot, after: Timestamp) -> Result<Vec<Earlier>, Failure> {
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(EARLIER)
        .bind(&slot.address).bind(slot.purpose.as_str()).bind(after)
        .fetch_all(c).await)?)
}

pub(super) async fn guess(
    db: &Database,
    slot: &Slot,
    mac: &str,
    now: Timestamp,
    then: Then,
) -> Result<Option<Found>, Failure> {
    let mut tx = locked(db, slot).await?;
    let found = find(&mut tx, slot, mac, now).await?;
    let good = match (&found, then) {
        (None, _) => charge(&mut tx, slot, now).await.map(|()| false)?,
        (Some(_), Then::Keep) => true,
        (Some(code), Then::Consume) => consume_in(&mut tx, &code.id, now).await?,
    };
    tx.commit().await?;
    Ok(found.filter(|_| good))
}

/// The newest live code of this keyed hash. How long comparing takes tells of the hash at most, which nobody can choose.
async fn find(tx: &mut Tx, slot: &Slot, mac: &str, now: Timestamp) -> Result<Option<Found>, Failure> {
    let live: Vec<(String, Option<ClaimId>, String)> = with_conn!(tx.connection(), c => sqlx::query_as(LIVE)
        .bind(&slot.address).bind(slot.purpose.as_str()).bind(now)
        .fetch_all(c).await)?;
    let right = live.into_iter().find(|(_, _, held)| held == mac);
    Ok(right.map(|(id, claim, _)| Found { id, claim }))
}

/// Takes a try from each live code, and notes the guess. The note says nothing; it makes an address without codes cost a write too, or the
/// time of the answer would tell the two apart.
async fn charge(tx: &mut Tx, slot: &Slot, now: Timestamp) -> Result<(), Failure> {
    with_conn!(tx.connection(), c => sqlx::query(CHARGE)
        .bind(&slot.address).bind(slot.purpose.as_str()).bind(now)
        .execute(c).await.map(drop))?;
    let id = format!("wrong {} {}", slot.purpose.as_str(), slot.address);
    with_conn!(tx.connection(), c => sqlx::query(NOTE)
        .bind(id).bind(&slot.address).bind(now)
        .execute(c).await.map(drop))?;
    Ok(())
}

pub(super) async fn consume(db: &Database, slot: &Slot, id: &str, now: Timestamp) -> Result<bool, Failure> {
    let mut tx = locked(db, slot).await?;
    let consumed = consume_in(&mut tx, id, now).await?;
    tx.commit().await?;
    Ok(consumed)
}

async fn consume_in(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool, Failure> {
    let consumed = with_conn!(tx.connection(), c => sqlx::query(CONSUME)
        .bind(id).bind(now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(consumed == 1)
}

pub(super) async fn restore(db: &Database, slot: &Slot, id: &str) -> Result<(), Failure> {
    let mut tx = locked(db, slot).await?;
    with_conn!(tx.connection(), c => sqlx::query(RESTORE).bind(id).execute(c).await.map(drop))?;
    Ok(tx.commit().await?)
}

pub(super) async fn forget(db: &Database, slot: &Slot) -> Result<(), Failure> {
    let mut tx = locked(db, slot).await?;
    with_conn!(tx.connection(), c => sqlx::query(FORGET)
        .bind(&slot.address).bind(slot.purpose.as_str())
        .execute(c).await.map(drop))?;
    Ok(tx.commit().await?)
}

pub(super) async fn sweep(db: &Database, until: Timestamp) -> Result<u64, Failure> {
    let mut tx = db.begin().await?;
    let swept = with_conn!(tx.connection(), c => sqlx::query(SWEEP)
        .bind(until)
        .execute(c).await.map(|done| done.rows_affected()))?;
    tx.commit().await?;
    Ok(swept)
}

async fn locked(db: &Database, slot: &Slot) -> Result<Tx, Failure> {
    let mut tx = db.begin().await?;
    tx.lock(&format!("otp {} {}", slot.purpose.as_str(), slot.address)).await?;
    Ok(tx)
}
