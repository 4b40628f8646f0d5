//! What admins, and users themselves, do to accounts.

use faceofmind_db::Tx;
use faceofmind_platform::login_store;
use faceofmind_runtime::legacy::Failure;

use super::Ledger;
use crate::accounts::claims::NewClaim;
use crate::accounts::store::Account;
use crate::accounts::{AccountChange, ChangeError, NewAdmin, address_changes, claims, store};
use faceofmind_model::event::{EventContext, Initiator, UserEvent};
use faceofmind_model::user::{Email, Role, Status, User, UserId};
use faceofmind_platform::password_hasher::PasswordHash;

/// Whoever may take an admin away holds this lock, first of all: two who would remove the last two take turns.
const ADMINS: &str = "active admins";

impl Ledger {
    pub(in crate::accounts) async fn change(
        &self,
        id: UserId,
        change: AccountChange,
        origin: &EventContext,
    ) -> Result<User, ChangeError> {
        let mut tx = self.db.begin().await?;
        if change.role.is_some() || change.status.is_some() {
            tx.lock(ADMINS).await?;
        }
        let mut account = store::lock(&mut tx, id).await?.ok_or(ChangeError::NotFound)?;
        if change.only_users && account.user.role != Role::User {
            return Err(ChangeError::OnlyUsers);
        }
        let before = account.user.clone();
        account.apply(change);
        if account.user != before {
            if is_active_admin(&before) && !is_active_admin(&account.user) {
                leave_an_admin(&mut tx, id).await?;
            }
            store::save(&mut tx, &mut account).await?;
            self.follow(&mut tx, &before, &account.user, origin).await?;
        }
        // Also where nothing changed: whoever asks twice may not have been answered once.
        self.commit(tx, id).await?;
        Ok(account.user)
    }

    /// What a change entails, and the events that tell of it.
    async fn follow(&self, tx: &mut Tx, before: &User, user: &User, origin: &EventContext) -> Result<(), Failure> {
        let but_for_status = User { status: before.status, revision: before.revision, ..user.clone() };
        if but_for_status != *before {
            self.record(tx, origin, UserEvent::Updated { user_id: user.id, role: user.role }).await?;
        }
        if let Some(zone) = user.time_zone.as_deref().filter(|_| user.time_zone != before.time_zone) {
            self.hooks.time_zone_changed(tx, user.id, zone).await?;
        }
        if user.status != before.status {
            self.follow_status(tx, before.status, user).await?;
            self.record(tx, origin, UserEvent::StatusChanged { user_id: user.id, status: user.status }).await?;
        }
        Ok(())
    }

    /// Claims end with every change of status: one that was made on an active account shall not wake when it is set back to inactive. Nor
    /// does a user move who could not log in meanwhile. Who could once log in is never swept, also where the predecessor let them in.
    async fn follow_status(&self, tx: &mut Tx, before: Status, user: &User) -> Result<(), Failure> {
        claims::end_all(tx, user.id).await?;
        address_changes::end(tx, user.id).await?;
        if user.status == Status::Active || before != Status::Inactive {
            store::mark_activated(tx, user.id, self.clock.now()).await?;
        }
        if user.status != Status::Active {
            login_store::end_all(tx, user.id, None, self.clock.now()).await?;
        }
        Ok(())
    }

    /// Gives back the address, whose codes and mails are to be forgotten. `compared_at` is the revision of the user whose password was
    /// proven, where it was.
    pub(in crate::accounts) async fn delete(
        &self,
        id: UserId,
        compared_at: Option<i64>,
        origin: &EventContext,
    ) -> Result<Email, ChangeError> {
        let mut tx = self.db.begin().await?;
        tx.lock(ADMINS).await?;
        let user = store::lock_for_removal(&mut tx, id).await?.ok_or(ChangeError::NotFound)?.user;
        if compared_at.is_some_and(|revision| revision != user.revision) {
            return Err(Failure::Busy("registry").into());
        }
        if is_active_admin(&user) {
            leave_an_admin(&mut tx, id).await?;
        }
        self.erase(&mut tx, &user, origin).await?;
        self.commit(tx, id).await?;
        self.rewrite.notify_one();
        Ok(user.email)
    }

    /// Removes a user that is [locked for it](store::lock_for_removal), and all that is theirs.
    pub(super) async fn erase(&self, tx: &mut Tx, user: &User, origin: &EventContext) -> Result<(), Failure> {
        self.hooks.erase(tx, user).await?;
        store::delete(tx, user.id).await?;
        self.record(tx, origin, UserEvent::Deleted { user_id: user.id }).await
    }

    pub(in crate::accounts) async fn create_admin(
        &self,
        new: NewAdmin,
        password: PasswordHash,
    ) -> Result<User, ChangeError> {
        let claim = NewClaim {
            email: &new.email,
            first_name: &new.first_name,
            last_name: &new.last_name,
            password: &password,
            language: None,
        };
        let mut tx = self.db.begin().await?;
        let made = claims::make(&mut tx, &claim, self.clock.now()).await?;
        if !made.is_new {
            return Err(ChangeError::Taken);
        }
        let mut account = store::lock(&mut tx, made.user).await?.ok_or(ChangeError::Taken)?;
        account.user.role = Role::Admin;
        self.activate(&mut tx, &mut account).await?;
        let origin = EventContext::new(Initiator::System);
        self.record(&mut tx, &origin, UserEvent::Registered { user_id: made.user }).await?;
        self.record(&mut tx, &origin, UserEvent::Verified { user_id: made.user }).await?;
        self.commit(tx, made.user).await?;
        Ok(account.user)
    }
}

impl Account {
    /// Whoever wakes an account vouches for its address, not for its password: that stays only if one person alone can have set it.
    fn apply(&mut self, change: AccountChange) {
        let user = &mut self.user;
        if change.status == Some(Status::Active) && user.status != Status::Active && self.claims_made != 1 {
            self.password = None;
        }
        user.first_name = change.first_name.unwrap_or_else(|| user.first_name.clone());
        user.last_name = change.last_name.unwrap_or_else(|| user.last_name.clone());
        user.time_zone = change.time_zone.or(user.time_zone.take());
        user.language = change.language.or(user.language.take());
        user.role = change.role.unwrap_or(user.role);
        user.status = change.status.unwrap_or(user.status);
    }
}

/// Whether the user keeps the service from having no admin.
fn is_active_admin(user: &User) -> bool {
    user.role == Role::Admin && user.status == Status::Active
}

async fn leave_an_admin(tx: &mut Tx, without: UserId) -> Result<(), ChangeError> {
    if store::has_admin_but(tx, without).await? { Ok(()) } else { Err(ChangeError::LastAdmin) }
}
