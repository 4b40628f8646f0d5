//! Removes accounts that were never verified, stale pending registrations and e-mail changes, and what erased users left behind.

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_db::StoreError;
use faceofmind_model::{
    UserId,
    event::{EventContext, Initiator},
};

use super::AccountService;
use crate::accounts::{AccountError, GetUser, pending_email_changes, pending_registrations, store};

/// Accounts that were not verified this long after their last registration are erased. A registration of an account that is not inactive
/// lapses after the same time, so that its registrant does not learn of the account.
const UNVERIFIED_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// The pause after a rewrite of the database file, in which other writes proceed.
const VACUUM_PAUSE: Duration = Duration::from_secs(6);

impl AccountService {
    pub(in crate::accounts) async fn sweep(&self) -> Result<(), AccountError> {
        let now = self.deps.clock.now();
        let before = now - UNVERIFIED_RETENTION;
        let unverified =
            pending_registrations::never_verified(self.deps.db.read_conn().await?.connection(), before).await?;
        for user in unverified {
            self.erase_unverified(user, before).await?;
        }
        let mut tx = self.deps.db.begin().await?;
        pending_registrations::sweep(&mut tx, before).await?;
        pending_email_changes::sweep(&mut tx, now).await?;
        tx.commit().await?;
        self.delete_orphaned_mail().await?;
        self.checkpoint_wal().await;
        Ok(())
    }

    /// Deletes the mail files of users who were erased before their mail was written, or whose erasure was interrupted.
    async fn delete_orphaned_mail(&self) -> Result<(), AccountError> {
        let users = self.deps.transport.users_with_files().await;
        for id in users.inspect_err(|error| tracing::warn!(%error, "failed to list the mail files")).unwrap_or_default()
        {
            if self.get_user(GetUser { id }).await?.is_none() {
                self.delete_mail_files(id).await;
            }
        }
        Ok(())
    }

    pub(super) async fn delete_mail_files(&self, user: UserId) {
        if let Err(error) = self.deps.transport.delete_files_of(user).await {
            tracing::warn!(%error, %user, "failed to delete the mail files of an erased user; the next sweep retries");
        }
    }

    async fn checkpoint_wal(&self) {
        match self.deps.db.checkpoint_wal().await {
            Ok(true) => {}
            Ok(false) => {
                tracing::info!("the database's log was not truncated: it is being read; the next sweep retries")
            }
            Err(error) => tracing::warn!(%error, "failed to truncate the database's log; the next sweep retries"),
        }
    }

    /// Erases one user in a transaction of its own, so that other requests do not wait long. Skips an account verified in between.
    async fn erase_unverified(&self, id: UserId, before: Timestamp) -> Result<(), AccountError> {
        let mut tx = self.deps.db.begin().await?;
        let Some(account) = store::lock_for_delete(&mut tx, id).await? else { return Ok(()) };
        if !pending_registrations::is_expired(&mut tx, id, before).await? {
            return Ok(());
        }
        self.erase(&mut tx, &account.user, &EventContext::new(Initiator::System)).await?;
        self.commit(tx, id).await?;
        self.delete_mail_files(id).await;
        Ok(())
    }

    /// Rewrites the database file after erasures, so that the file no longer holds what was deleted. Several erasures share one rewrite. The
    /// file keeps the request until the rewrite is done, also by a later process.
    pub(in crate::accounts) async fn vacuum_if_due(&self) -> Result<(), StoreError> {
        if !self.deps.db.is_vacuum_due().await? {
            return Ok(());
        }
        if self.deps.db.vacuum().await? {
            tracing::info!("vacuum after erasure finished");
            tokio::time::sleep(VACUUM_PAUSE).await;
        } else {
            tracing::info!("vacuum after erasure incomplete: deleted data is being read; it will run again");
        }
        Ok(())
    }
}
