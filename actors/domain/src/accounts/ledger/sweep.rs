//! Removes what has been left behind: accounts that nobody ever verified, claims that nobody needs, moves that nobody
//! confirmed, and what was deleted.

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_runtime::legacy::Failure;

use super::Ledger;
use crate::accounts::{address_changes, claims, store};
use faceofmind_model::event::{EventContext, Initiator};
use faceofmind_model::user::UserId;

const EVERY: Duration = Duration::from_secs(3600);

/// Others write in between.
const REWRITE_REST: Duration = Duration::from_secs(10);

/// Accounts that are never verified go after so long.
const UNVERIFIED: Duration = Duration::from_secs(30 * 24 * 3600);

/// A claim on an account that needs none says for so long that somebody made it: as long as its mail may be tried.
const NEEDLESS: Duration = Duration::from_secs(24 * 3600);

/// Sweeps at once and every now and then.
pub(in crate::accounts) async fn sweep(ledger: Ledger) {
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
        let unverified = claims::never_verified(self.db.read_conn().await?.connection(), now - UNVERIFIED).await?;
        for user in unverified {
            self.remove_unverified(user, now - UNVERIFIED).await?;
        }
        let mut tx = self.db.begin().await?;
        claims::sweep(&mut tx, now - NEEDLESS).await?;
        address_changes::sweep(&mut tx, now).await?;
        tx.commit().await?;
        self.forget_the_gone().await?;
        self.cut_log().await;
        Ok(())
    }

    /// Mails to somebody who was gone before they were written, or whose removal was cut short.
    async fn forget_the_gone(&self) -> Result<(), Failure> {
        for user in self.mailer.written_of().await {
            if self.get(user).await?.is_none() {
                self.mailer.forget(user).await;
            }
        }
        Ok(())
    }

    async fn cut_log(&self) {
        match self.db.checkpoint_wal().await {
            Ok(true) => {}
            Ok(false) => tracing::info!("the database's log is being read: it is cut off with the next sweep"),
            Err(failure) => tracing::warn!(%failure, "the database's log was not cut off"),
        }
    }

    /// Each in a transaction of its own, so that nobody waits long; and only if it was not verified while it waited.
    async fn remove_unverified(&self, id: UserId, before: Timestamp) -> Result<(), Failure> {
        let mut tx = self.db.begin().await?;
        let Some(account) = store::lock_for_removal(&mut tx, id).await? else { return Ok(()) };
        if !claims::is_never_verified(&mut tx, id, before).await? {
            return Ok(());
        }
        self.erase(&mut tx, &account.user, &EventContext::new(Initiator::System)).await?;
        self.commit(tx, id).await?;
        self.rewrite.notify_one();
        self.mailer.forget(id).await;
        Ok(())
    }
}

/// Writes the file anew whenever somebody was erased, until it is done; several at a time are one.
pub(in crate::accounts) async fn forget_deleted(ledger: Ledger) {
    loop {
        ledger.rewrite.notified().await;
        match ledger.db.vacuum().await {
            Ok(true) => tracing::info!("what was deleted is forgotten"),
            Ok(false) => {
                tracing::info!("what was deleted is still being read: to be forgotten later");
                ledger.rewrite.notify_one();
            }
            Err(failure) => {
                tracing::warn!(%failure, "what was deleted still stands in the database's file: to be forgotten later");
                ledger.rewrite.notify_one();
            }
        }
        tokio::time::sleep(REWRITE_REST).await;
    }
}
