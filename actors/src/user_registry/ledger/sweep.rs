//! Removes what has been left behind: accounts that nobody ever verified, claims that nobody needs, moves that nobody
//! confirmed, and what was deleted.

use std::time::Duration;

use faceofmind_kit::{Database, Failure, Timestamp};

use super::Ledger;
use crate::{
    publisher::{Cause, Origin},
    user_registry::{UserId, address_changes, claims, store},
};

const EVERY: Duration = Duration::from_secs(3600);

/// Accounts that are never verified go after so long.
const UNVERIFIED: Duration = Duration::from_secs(30 * 24 * 3600);

/// A claim on an account that needs none says for so long that somebody made it: as long as its mail may be tried.
const NEEDLESS: Duration = Duration::from_secs(24 * 3600);

/// Sweeps at once and every now and then.
pub(in crate::user_registry) async fn sweep(ledger: Ledger) {
    loop {
        if let Err(failure) = ledger.sweep().await {
            tracing::warn!(%failure, "accounts that nobody verified were not swept");
        }
        tokio::time::sleep(ledger.rng.jitter(EVERY)).await;
    }
}

impl Ledger {
    async fn sweep(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        let unverified = claims::never_verified(self.db.reader().await?.connection(), now - UNVERIFIED).await?;
        for &user in &unverified {
            self.remove_unverified(user, now - UNVERIFIED).await?;
        }
        let mut tx = self.db.begin().await?;
        claims::sweep(&mut tx, now - NEEDLESS).await?;
        address_changes::sweep(&mut tx, now).await?;
        tx.commit().await?;
        note(if unverified.is_empty() { self.db.cut_log().await } else { self.db.forget_deleted().await });
        Ok(())
    }

    /// Each in a transaction of its own, so that nobody waits long; and only if it was not verified while it waited.
    async fn remove_unverified(&self, id: UserId, before: Timestamp) -> Result<(), Failure> {
        let mut tx = self.db.begin().await?;
        let Some(account) = store::lock_for_removal(&mut tx, id).await? else { return Ok(()) };
        if !claims::is_never_verified(&mut tx, id, before).await? {
            return Ok(());
        }
        self.erase(&mut tx, &account.user, &Origin::new(Cause::System)).await?;
        self.commit(tx, id).await?;
        self.mailer.forget(&account.user.email).await;
        Ok(())
    }
}

/// Also what lies beside the database's rows. While an export reads what was before, it stays in the log: the next sweep tries again.
pub(in crate::user_registry) async fn forget_deleted(db: &Database) {
    note(db.forget_deleted().await);
}

fn note(forgotten: Result<bool, Failure>) {
    match forgotten {
        Ok(true) => {}
        Ok(false) => tracing::info!("what was deleted is still being read: it is forgotten with the next sweep"),
        Err(failure) => tracing::warn!(%failure, "what was deleted still stands in the database's log"),
    }
}
