//! The use cases. Each writes in one transaction the new state, the events that report it and the mail jobs that it calls for.

use std::{sync::Mutex, time::Duration};

use faceofmind_base::Timestamp;
use faceofmind_db::{StoreError, Tx};
use faceofmind_model::{
    Email, MailReason, RequestContext, Status, User, UserId,
    event::{DomainEvent, EventContext},
};
use faceofmind_platform::{
    Platform,
    auth_cache::Invalidation,
    login_store, mail,
    otp::{Guesser, OnMatch, Purpose, RevokeCodes, UnconsumeCode, VerifiedCode, VerifyCode},
    outbox::{self, Wake},
    rate_limit::Limit,
};
use secrecy::SecretString;

use super::{
    AccountError, AccountHooks, Credentials, GetCredentials, GetUser, ListUsers, PasswordPolicy, UserPage, listing,
    pending_registrations,
    store::{self, Account},
};

mod changes;
mod email_change;
mod erasure;
mod mail_context;
mod passwords;
mod registration;
mod sweep;

/// The bounds of accounts.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub passwords: PasswordPolicy,
    /// Registrations and requested e-mail changes from one client address.
    pub registrations: Limit,
    /// For how long a mailed code is valid. A registration is not replaced while its code may be.
    pub code_lifetime: Duration,
}

/// The use cases of accounts, with what they stand on.
pub struct AccountService {
    pub(super) settings: Settings,
    pub(super) hooks: AccountHooks,
    pub(super) deps: Platform,
    /// When the oldest erasure that is not finished was requested, as last read.
    pub(super) oldest_erasure: Mutex<Option<Timestamp>>,
}

impl AccountService {
    pub(super) async fn get_user(&self, GetUser { id }: GetUser) -> Result<Option<User>, AccountError> {
        let account = store::by_id(self.deps.db.read_conn().await?.connection(), id).await?;
        Ok(account.map(|account| account.user))
    }

    pub(super) async fn get_credentials(
        &self,
        GetCredentials { email }: GetCredentials,
    ) -> Result<Option<Credentials>, AccountError> {
        let mut reader = self.deps.db.read_conn().await?;
        let account = store::by_email(reader.connection(), &email).await?;
        // An unknown address costs the same queries, so that timing does not reveal which accounts exist.
        let id = account.as_ref().map_or(UserId(0), |account| account.user.id);
        let pending = pending_registrations::newest(reader.connection(), id).await?;
        Ok(account.map(|Account { user, password, claims_made }| {
            // Another program may have activated the account. That vouches for the address, and not for whose of several registrations the
            // password is.
            let password = password.filter(|_| user.status == Status::Inactive || claims_made == 1);
            Credentials { user, password, pending }
        }))
    }

    pub(super) async fn list_users(&self, filter: ListUsers) -> Result<UserPage, AccountError> {
        Ok(listing::page(&self.deps.db, &filter).await?)
    }

    async fn record(&self, tx: &mut Tx, context: &EventContext, event: impl DomainEvent) -> Result<(), StoreError> {
        outbox::record(tx, &event.into_cloud_event(context, self.deps.clock.now(), &self.deps.rng)).await
    }

    async fn queue_mail(&self, tx: &mut Tx, reason: &MailReason, context: &RequestContext) -> Result<(), StoreError> {
        let now = self.deps.clock.now();
        let client = context.rate_limit_key();
        let cause = mail::Cause { client: &client, request_id: context.events.request_id() };
        mail::enqueue(tx, self.deps.rng.uuid_v7(now), reason, cause, now).await
    }

    /// Commits a change of the user, invalidates the cache entries that show the user, and wakes the publisher and the mailer.
    async fn commit(&self, tx: Tx, user: UserId) -> Result<(), StoreError> {
        self.deps.auth_cache.commit(tx, [Invalidation::User(user)]).await?;
        self.deps.publisher.tell(Wake);
        self.deps.mailer.tell(mail::Poll);
        Ok(())
    }

    /// Returns how the account of the address knows the client. An unknown address costs the same queries.
    async fn guesser(&self, address: &Email, context: &RequestContext) -> Result<Guesser, StoreError> {
        let mut reader = self.deps.db.read_conn().await?;
        let account = store::by_email(reader.connection(), address).await?;
        let user = account.map_or(UserId(0), |account| account.user.id);
        let known = login_store::known_since(&mut reader, user, &context.rate_limit_key()).await?;
        Ok(if known.is_some() { Guesser::KnownNetwork } else { Guesser::Stranger })
    }

    /// Revokes codes that no longer serve. A code that cannot be reached expires in minutes.
    async fn revoke_codes(&self, purposes: &[Purpose], address: &Email) {
        for &purpose in purposes {
            if let Err(error) = self.deps.otp.ask(RevokeCodes { purpose, address: address.clone() }).await {
                tracing::warn!(%error, "failed to revoke codes that no longer serve; they expire in minutes");
            }
        }
    }

    /// Makes a code valid again whose change could not be written.
    async fn restore_code(&self, code: &VerifiedCode) {
        if let Err(error) = self.deps.otp.ask(UnconsumeCode(code.clone())).await {
            tracing::warn!(%error, "failed to restore the code after a failed write; the user must request a new one");
        }
    }
}

fn code_entered(
    purpose: Purpose,
    address: &Email,
    code: &SecretString,
    (context, guesser): (&RequestContext, Guesser),
    on_match: OnMatch,
) -> VerifyCode {
    let client = context.rate_limit_key();
    VerifyCode { purpose, address: address.clone(), code: code.clone(), client, guesser, on_match }
}

/// The user changed after the password was verified.
fn ensure_revision(user: &User, expected: i64) -> Result<(), StoreError> {
    if user.revision == expected { Ok(()) } else { Err(StoreError::Conflict) }
}
