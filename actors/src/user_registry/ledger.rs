//! What the actors do, each piece one transaction: the new state, the event that tells of it, and the intent to mail.

use faceofmind_kit::{Clock, Database, Failure, Rng, Tx, on};

use super::{
    AccountChange, ChangeError, ClaimId, CodeFor, Credentials, Email, Filter, NewAdmin, Page, PasswordError, Role,
    Status, User, UserId, VerifyError,
    claims::{self, NewClaim},
    listing,
    store::{self, Account},
};
use crate::{
    client::Client,
    hasher::PasswordHash,
    idempotency,
    logins::{self, Change, LoginId, Views},
    mailer::{self, Mailer, Occasion},
    otp::{Otp, Purpose},
    publisher::{self, Cause, Event, Origin, Publisher},
    session_tracker,
};

/// What the work is done with. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) db: Database,
    pub(super) publisher: Publisher,
    pub(super) mailer: Mailer,
    pub(super) otp: Otp,
    pub(super) views: Views,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
}

/// A registration whose password is hashed.
pub(super) struct NewRegistration {
    pub(super) email: Email,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) password: PasswordHash,
    pub(super) client: Client,
}

/// A new password that is hashed.
pub(super) struct NewPassword {
    pub(super) user: UserId,
    pub(super) hash: PasswordHash,
    /// The revision of the user whose current password was compared.
    pub(super) compared_at: Option<i64>,
    /// It comes with a code that was mailed: an inactive account becomes active.
    pub(super) proves_address: bool,
    /// The log-in that goes on.
    pub(super) keep: Option<LoginId>,
    pub(super) client: Client,
}

/// Whether nobody has changed the user since that revision; nobody can until the transaction ends.
///
/// # Errors
/// [`Failure::Store`].
pub async fn is_unchanged(tx: &mut Tx, user: UserId, revision: i64) -> Result<bool, Failure> {
    let lock = "UPDATE user_profiles SET revision = revision WHERE user_id = $1 AND revision = $2 RETURNING user_id";
    let held: Option<(UserId,)> =
        on!(tx.connection(), c => sqlx::query_as(lock).bind(user).bind(revision).fetch_optional(c).await)?;
    Ok(held.is_some())
}

impl Ledger {
    pub(super) async fn get(&self, id: UserId) -> Result<Option<User>, Failure> {
        Ok(store::by_id(self.db.reader().await?.connection(), id).await?.map(|account| account.user))
    }

    pub(super) async fn credentials(&self, email: &Email) -> Result<Option<Credentials>, Failure> {
        let account = store::by_email(self.db.reader().await?.connection(), email).await?;
        Ok(account.map(|Account { user, password, .. }| Credentials { user, password }))
    }

    pub(super) async fn list(&self, filter: &Filter) -> Result<Page, Failure> {
        listing::page(&self.db, filter).await
    }

    pub(super) async fn register(&self, new: NewRegistration) -> Result<(), Failure> {
        let now = self.clock.now();
        let claim = NewClaim {
            email: &new.email,
            first_name: &new.first_name,
            last_name: &new.last_name,
            password: &new.password,
            language: new.client.language.as_deref(),
        };
        let mut tx = self.db.begin().await?;
        let made = claims::make(&mut tx, &claim, now).await?;
        if made.is_new {
            self.record(&mut tx, &new.client.origin, Event::UserRegistered { user_id: made.user }).await?;
        }
        let occasion = Occasion::Registration { user: made.user, claim: made.claim };
        mailer::queue(&mut tx, self.rng.uuid_v7(now), &occasion, &new.client.address, now).await?;
        tx.commit().await?;
        self.tell_of(made.user);
        Ok(())
    }

    pub(super) async fn verify(&self, email: &Email, claim: ClaimId, origin: &Origin) -> Result<User, VerifyError> {
        let mut tx = self.db.begin().await?;
        let found = store::by_email(tx.connection(), email).await?.ok_or(VerifyError::BadCode)?;
        let mut account = store::lock(&mut tx, found.user.id).await?.ok_or(VerifyError::BadCode)?;
        let claim = claims::find(&mut tx, account.user.id, claim).await?.ok_or(VerifyError::BadCode)?;
        if account.user.status != Status::Inactive {
            return Err(VerifyError::BadCode);
        }
        account.password = Some(claim.password());
        account.user.first_name = claim.first_name;
        account.user.last_name = claim.last_name;
        self.activate(&mut tx, &mut account).await?;
        self.record(&mut tx, origin, Event::UserVerified { user_id: account.user.id }).await?;
        tx.commit().await?;
        self.tell_of(account.user.id);
        Ok(account.user)
    }

    /// The address is proven: the account is active, and no claim on it lives.
    async fn activate(&self, tx: &mut Tx, account: &mut Account) -> Result<(), Failure> {
        account.user.status = Status::Active;
        store::save(tx, account).await?;
        store::mark_verified(tx, account.user.id, self.clock.now()).await?;
        claims::end_all(tx, account.user.id).await
    }

    pub(super) async fn send_code(&self, wanted: CodeFor, client: &Client) -> Result<(), Failure> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let occasion = match wanted {
            CodeFor::Reset(email) => Occasion::PasswordReset { email },
            CodeFor::Claim(user) => {
                let Some(account) = store::lock(&mut tx, user).await? else { return Ok(()) };
                let Some(claim) = claims::newest(&mut tx, &account, now).await? else { return Ok(()) };
                Occasion::Registration { user, claim }
            }
        };
        mailer::queue(&mut tx, self.rng.uuid_v7(now), &occasion, &client.address, now).await?;
        tx.commit().await?;
        self.mailer.wake();
        Ok(())
    }

    pub(super) async fn set_password(&self, new: NewPassword) -> Result<(), PasswordError> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let mut account = store::lock(&mut tx, new.user).await?.ok_or(PasswordError::BadCode)?;
        if new.compared_at.is_some_and(|revision| revision != account.user.revision) {
            return Err(PasswordError::WrongPassword);
        }
        account.password = Some(new.hash);
        let verifies = new.proves_address && account.user.status == Status::Inactive;
        if verifies {
            self.activate(&mut tx, &mut account).await?;
        } else {
            store::save(&mut tx, &mut account).await?;
        }
        logins::end_all(&mut tx, new.user, new.keep, now).await?;
        if verifies {
            self.record(&mut tx, &new.client.origin, Event::UserVerified { user_id: new.user }).await?;
        }
        self.record(&mut tx, &new.client.origin, Event::UserPasswordChanged { user_id: new.user }).await?;
        let occasion = Occasion::PasswordChanged { user: new.user };
        mailer::queue(&mut tx, self.rng.uuid_v7(now), &occasion, &new.client.address, now).await?;
        tx.commit().await?;
        self.tell_of(new.user);
        Ok(())
    }

    pub(super) async fn renew_hash(&self, user: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<(), Failure> {
        let mut tx = self.db.begin().await?;
        store::renew_hash(&mut tx, user, old, new).await?;
        tx.commit().await
    }

    pub(super) async fn change(&self, id: UserId, change: AccountChange, origin: &Origin) -> Result<User, ChangeError> {
        let mut tx = self.db.begin().await?;
        let others = store::lock_other_admins(&mut tx, id).await?;
        let mut account = store::lock(&mut tx, id).await?.ok_or(ChangeError::NotFound)?;
        if change.only_users && account.user.role != Role::User {
            return Err(ChangeError::OnlyUsers);
        }
        let before = account.user.clone();
        account.apply(change);
        if before == account.user {
            tx.rollback().await?;
            return Ok(before);
        }
        if others == 0 && is_active_admin(&before) && !is_active_admin(&account.user) {
            return Err(ChangeError::LastAdmin);
        }
        store::save(&mut tx, &mut account).await?;
        self.follow_status(&mut tx, &before, &account, origin).await?;
        tx.commit().await?;
        self.tell_of(id);
        Ok(account.user)
    }

    /// What a change of status entails, and the events that tell of the change.
    async fn follow_status(
        &self,
        tx: &mut Tx,
        before: &User,
        account: &Account,
        origin: &Origin,
    ) -> Result<(), Failure> {
        let user = &account.user;
        self.record(tx, origin, Event::UserUpdated { user_id: user.id, role: user.role }).await?;
        if before.status == user.status {
            return Ok(());
        }
        if user.status == Status::Active {
            claims::end_all(tx, user.id).await?;
        } else {
            logins::end_all(tx, user.id, None, self.clock.now()).await?;
        }
        self.record(tx, origin, Event::UserStatusChanged { user_id: user.id, status: user.status }).await
    }

    pub(super) async fn delete(&self, id: UserId, origin: &Origin) -> Result<(), ChangeError> {
        let mut tx = self.db.begin().await?;
        let others = store::lock_other_admins(&mut tx, id).await?;
        let account = store::lock(&mut tx, id).await?.ok_or(ChangeError::NotFound)?;
        if others == 0 && is_active_admin(&account.user) {
            return Err(ChangeError::LastAdmin);
        }
        self.erase(&mut tx, id, origin).await?;
        tx.commit().await?;
        self.tell_of(id);
        self.forget_codes(&account.user.email).await;
        Ok(())
    }

    async fn erase(&self, tx: &mut Tx, id: UserId, origin: &Origin) -> Result<(), Failure> {
        session_tracker::erase(tx, id).await?;
        logins::erase(tx, id).await?;
        mailer::erase(tx, id).await?;
        idempotency::erase(tx, id).await?;
        publisher::erase(tx, id).await?;
        store::delete(tx, id).await?;
        self.record(tx, origin, Event::UserDeleted { user_id: id }).await
    }

    pub(super) async fn create_admin(&self, new: NewAdmin, password: PasswordHash) -> Result<User, ChangeError> {
        let now = self.clock.now();
        let claim = NewClaim {
            email: &new.email,
            first_name: &new.first_name,
            last_name: &new.last_name,
            password: &password,
            language: None,
        };
        let mut tx = self.db.begin().await?;
        if store::by_email(tx.connection(), &new.email).await?.is_some() {
            return Err(ChangeError::Taken);
        }
        let made = claims::make(&mut tx, &claim, now).await?;
        let mut account = store::lock(&mut tx, made.user).await?.ok_or(ChangeError::Taken)?;
        account.user.role = Role::Admin;
        self.activate(&mut tx, &mut account).await?;
        let origin = Origin::new(Cause::System);
        self.record(&mut tx, &origin, Event::UserRegistered { user_id: made.user }).await?;
        self.record(&mut tx, &origin, Event::UserVerified { user_id: made.user }).await?;
        tx.commit().await?;
        self.tell_of(made.user);
        Ok(account.user)
    }

    /// Removes accounts that nobody ever verified, and claims that nobody needs.
    pub(super) async fn sweep(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        for user in claims::never_verified(&mut tx, now - claims::UNVERIFIED).await? {
            self.erase(&mut tx, user, &Origin::new(Cause::System)).await?;
        }
        claims::sweep(&mut tx, now - std::time::Duration::from_secs(24 * 3600)).await?;
        tx.commit().await?;
        self.publisher.wake();
        Ok(())
    }

    async fn record(&self, tx: &mut Tx, origin: &Origin, event: Event) -> Result<(), Failure> {
        publisher::record(tx, &event.seal(origin, self.clock.now(), &self.rng)).await
    }

    /// Codes that cannot be forgotten now expire in minutes, and belong to nobody.
    async fn forget_codes(&self, email: &Email) {
        for purpose in [Purpose::Verification, Purpose::PasswordReset, Purpose::EmailChange] {
            if let Err(failure) = self.otp.forget(purpose, email).await {
                tracing::warn!(%failure, "the codes of a deleted user were not forgotten");
            }
        }
    }

    /// After a commit: what was believed of the user counts no more, and what was recorded can go out.
    fn tell_of(&self, user: UserId) {
        self.views.announce(Change::User(user));
        self.publisher.wake();
        self.mailer.wake();
    }
}

impl Account {
    fn apply(&mut self, change: AccountChange) {
        let user = &mut self.user;
        user.first_name = change.first_name.unwrap_or_else(|| user.first_name.clone());
        user.last_name = change.last_name.unwrap_or_else(|| user.last_name.clone());
        user.time_zone = change.time_zone.or(user.time_zone.take());
        user.language = change.language.or(user.language.take());
        user.role = change.role.unwrap_or(user.role);
        let wakes_unproven = change.status == Some(Status::Active) && user.status == Status::Inactive && !self.verified;
        if wakes_unproven && self.claims_made != 1 {
            self.password = None;
        }
        self.user.status = change.status.unwrap_or(self.user.status);
    }
}

/// Whether the user keeps the service from having no admin.
fn is_active_admin(user: &User) -> bool {
    user.role == Role::Admin && user.status == Status::Active
}
