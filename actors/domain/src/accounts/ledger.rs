//! What the actors do, each piece one transaction: the new state, the event that tells of it, and the intent to mail.

use std::sync::Arc;

use faceofmind_base::{Clock, Rng};
use faceofmind_db::{Database, Tx};
use faceofmind_runtime::{Handle, legacy::Failure};
use tokio::sync::Notify;

use super::{
    Credentials, Email, Filter, Page, User, UserId, listing,
    store::{self, Account},
};
use faceofmind_model::MailReason;
use faceofmind_model::event::{DomainEvent, EventContext};
use faceofmind_platform::auth_cache::{Change, Views};
use faceofmind_platform::mail::Mailer;
use faceofmind_platform::outbox::{Publisher, Wake};
use faceofmind_platform::password_hasher::PasswordHash;
use faceofmind_platform::{mail, outbox};

mod accounts;
mod addresses;
mod passwords;
mod registration;
mod sweep;

pub(super) use addresses::{Moved, NewAddress, ProvenAddress};
pub(super) use passwords::{NewPassword, Proof};
pub(super) use registration::NewRegistration;
pub(super) use sweep::{forget_deleted, sweep};

/// What the work is done with. Clones share it.
#[derive(Clone)]
pub(super) struct Ledger {
    pub(super) db: Database,
    pub(super) publisher: Handle<Publisher>,
    pub(super) mailer: Mailer,
    /// Told when somebody was erased; see [`forget_deleted`].
    pub(super) rewrite: Arc<Notify>,
    pub(super) views: Views,
    pub(super) hooks: Arc<dyn super::hooks::AccountHooks>,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
}

/// Whether nobody has changed the user since that revision; nobody can until the transaction ends. Several may ask at once.
///
/// # Errors
/// [`Failure::Store`].
pub async fn is_unchanged(tx: &mut Tx, user: UserId, revision: i64) -> Result<bool, Failure> {
    let account = store::read_shared(tx, user).await?;
    Ok(account.is_some_and(|account| account.user.revision == revision))
}

/// Whether there is such a user, who then stays until the transaction ends. For what shall belong to them: call it before anything else is
/// locked, since whoever removes a user locks the user first and then what is theirs.
///
/// # Errors
/// [`Failure::Store`].
pub async fn hold(tx: &mut Tx, user: UserId) -> Result<bool, Failure> {
    store::hold(tx, user).await
}

impl Ledger {
    pub(super) async fn get(&self, id: UserId) -> Result<Option<User>, Failure> {
        Ok(store::by_id(self.db.read_conn().await?.connection(), id).await?.map(|account| account.user))
    }

    pub(super) async fn credentials(&self, email: &Email) -> Result<Option<Credentials>, Failure> {
        let account = store::by_email(self.db.read_conn().await?.connection(), email).await?;
        Ok(account.map(|Account { user, password, .. }| Credentials { user, password }))
    }

    pub(super) async fn list(&self, filter: &Filter) -> Result<Page, Failure> {
        listing::page(&self.db, filter).await
    }

    /// Waits for whoever is changing the user now, even for a commit that this process has lost sight of.
    pub(super) async fn is_unchanged(&self, user: UserId, revision: i64) -> Result<bool, Failure> {
        is_unchanged(&mut self.db.begin().await?, user, revision).await
    }

    pub(super) async fn renew_hash(&self, user: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<(), Failure> {
        let mut tx = self.db.begin().await?;
        store::renew_hash(&mut tx, user, old, new).await?;
        Ok(tx.commit().await?)
    }

    async fn record(&self, tx: &mut Tx, origin: &EventContext, event: impl DomainEvent) -> Result<(), Failure> {
        Ok(outbox::record(tx, &event.into_cloud_event(origin, self.clock.now(), &self.rng)).await?)
    }

    /// `client` is the network address that caused it.
    async fn queue(&self, tx: &mut Tx, occasion: &MailReason, client: &str) -> Result<(), Failure> {
        let now = self.clock.now();
        mail::queue(tx, self.rng.uuid_v7(now), occasion, client, now).await
    }

    /// Commits what was changed of the user: what was believed of them counts no more, and what was recorded and queued can go out.
    async fn commit(&self, tx: Tx, user: UserId) -> Result<(), Failure> {
        self.views.commit(tx, [Change::User(user)]).await?;
        self.publisher.tell(Wake);
        self.mailer.wake();
        Ok(())
    }
}
