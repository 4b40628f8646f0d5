//! Changes by admins, and by users to their own accounts.

use faceofmind_db::Tx;
use faceofmind_model::{
    Email, Role, Status, User, UserChange, UserId,
    event::{EventContext, Initiator, UserEvent},
};
use faceofmind_platform::{login_store, otp::Purpose};
use faceofmind_runtime::Caller;

use super::{AccountService, ensure_revision};
use crate::accounts::{
    AccountError, CreateAdmin, DeleteUser, UpdateUser, pending_email_changes, pending_registrations,
    store::{self, Account},
};

/// Every transaction that may remove an active admin takes this lock first, so that two of them cannot remove the last two.
const ADMIN_LOCK: &str = "active admins";

impl AccountService {
    pub(in crate::accounts) async fn update_user(&self, message: UpdateUser) -> Result<User, AccountError> {
        let UpdateUser { user: id, change, require_user_role, events } = message;
        let mut tx = self.deps.db.begin().await?;
        if change.role.is_some() || change.status.is_some() {
            tx.lock(ADMIN_LOCK).await?;
        }
        let mut account = store::lock(&mut tx, id).await?.ok_or(AccountError::NotFound)?;
        if require_user_role && account.user.role != Role::User {
            return Err(AccountError::NotAUserAccount);
        }
        let before = account.user.clone();
        account.apply(change);
        if account.user != before {
            if before.is_active_admin() && !account.user.is_active_admin() {
                ensure_other_admin(&mut tx, id).await?;
            }
            store::save(&mut tx, &mut account).await?;
            self.apply_side_effects(&mut tx, &before, &account.user, &events).await?;
        }
        // An unchanged user commits too, which invalidates the auth cache: the reply to the request that changed the user may be lost.
        self.commit(tx, id).await?;
        Ok(account.user)
    }

    async fn apply_side_effects(
        &self,
        tx: &mut Tx,
        before: &User,
        user: &User,
        events: &EventContext,
    ) -> Result<(), AccountError> {
        let with_old_status = User { status: before.status, revision: before.revision, ..user.clone() };
        if with_old_status != *before {
            self.record(tx, events, UserEvent::Updated { user_id: user.id, role: user.role }).await?;
        }
        if let Some(zone) = user.time_zone.as_deref().filter(|_| user.time_zone != before.time_zone) {
            (self.hooks.time_zone_changed)(tx, user.id, zone).await?;
        }
        if user.status != before.status {
            self.on_status_changed(tx, before.status, user).await?;
            self.record(tx, events, UserEvent::StatusChanged { user_id: user.id, status: user.status }).await?;
        }
        Ok(())
    }

    /// Pending registrations end, so that one made while the account was active is not verified after the account is set back to inactive.
    /// A pending e-mail change ends, because its user could not log in meanwhile. An account that could once log in is never swept.
    async fn on_status_changed(&self, tx: &mut Tx, before: Status, user: &User) -> Result<(), AccountError> {
        let now = self.deps.clock.now();
        pending_registrations::delete_all(tx, user.id).await?;
        pending_email_changes::delete(tx, user.id).await?;
        if user.status == Status::Active || before != Status::Inactive {
            store::mark_vouched(tx, user.id, now).await?;
        }
        if user.status != Status::Active {
            login_store::end_all(tx, user.id, None, now).await?;
        }
        Ok(())
    }

    /// What lies outside the database goes after the commit. What cannot be reached then goes by age or with the next sweep.
    pub(in crate::accounts) async fn delete_user(&self, message: DeleteUser) -> Result<(), AccountError> {
        let user = message.user;
        for address in self.delete(message).await? {
            self.revoke_codes(&[Purpose::Verification, Purpose::PasswordReset, Purpose::EmailChange], &address).await;
        }
        self.delete_mail_files(user).await;
        Ok(())
    }

    /// Returns the addresses that codes may have been sent to.
    async fn delete(&self, message: DeleteUser) -> Result<Vec<Email>, AccountError> {
        let DeleteUser { user: id, expected_revision, events } = message;
        let mut tx = self.deps.db.begin().await?;
        tx.lock(ADMIN_LOCK).await?;
        let user = store::lock_for_delete(&mut tx, id).await?.ok_or(AccountError::NotFound)?.user;
        if let Some(expected) = expected_revision {
            ensure_revision(&user, expected)?;
        }
        if user.is_active_admin() {
            ensure_other_admin(&mut tx, id).await?;
        }
        let pending = pending_email_changes::pending(tx.connection(), id, self.deps.clock.now()).await?;
        self.erase(&mut tx, &user, &events).await?;
        self.commit(tx, id).await?;
        Ok(pending.map(|(_, address)| address).into_iter().chain([user.email]).collect())
    }

    pub(in crate::accounts) async fn create_admin(&self, message: CreateAdmin) -> Result<User, AccountError> {
        let CreateAdmin { email, password, first_name, last_name } = message;
        let (caller, names) = (Caller::alone("operator"), [first_name.as_str(), last_name.as_str()]);
        let password = self.check_and_hash::<AccountError>(caller, password, &email, names).await?;
        let mut tx = self.deps.db.begin().await?;
        let mut account = self.insert_admin(&mut tx, (&email, &first_name, &last_name), &password).await?;
        let user_id = account.user.id;
        account.user.role = Role::Admin;
        self.activate(&mut tx, &mut account).await?;
        let events = EventContext::new(Initiator::System);
        self.record(&mut tx, &events, UserEvent::Registered { user_id }).await?;
        self.record(&mut tx, &events, UserEvent::Verified { user_id }).await?;
        self.commit(tx, user_id).await?;
        Ok(account.user)
    }
}

impl Account {
    /// An admin who activates an account vouches for its address, not for its password. The password stays only if it comes from the only
    /// registration of the address.
    fn apply(&mut self, change: UserChange) {
        if change.status == Some(Status::Active) && self.user.status != Status::Active && self.claims_made != 1 {
            self.password = None;
        }
        change.apply_to(&mut self.user);
    }
}

async fn ensure_other_admin(tx: &mut Tx, without: UserId) -> Result<(), AccountError> {
    if store::has_other_admin(tx, without).await? { Ok(()) } else { Err(AccountError::LastAdmin) }
}
