//! The use cases with a password.

use std::time::Duration;

use faceofmind_base::{Rng, Timestamp};
use faceofmind_db::{StoreError, Tx};
use faceofmind_model::{Email, MailReason, RequestContext, Status, User, UserId};
use faceofmind_platform::{
    caller,
    login_store::{self as store, Login, NewLogin},
    mail::{self, Cause},
    password_hasher::{self, HashPassword, PasswordHash, VerifyOutcome},
    rate_limit::{Acquire, RateLimitKey, Refund, Reservation},
};
use faceofmind_runtime::Caller;
use secrecy::SecretString;

use super::{LoginError, PasswordLogin, TokenPair, VerifyPassword, service::LoginService};
use crate::accounts::{self, GetCredentials, RenewPasswordHash, ResendVerificationCode};

/// How often a password is verified again because its user changed meanwhile.
const MAX_ATTEMPTS: usize = 3;

impl LoginService {
    pub(super) async fn log_in(&self, message: PasswordLogin) -> Result<TokenPair, LoginError> {
        let PasswordLogin { email, password, context } = message;
        for _ in 0..MAX_ATTEMPTS {
            let user = self.verify_credentials(caller::network(&context), &email, &password, &context).await?;
            self.check_status(&user, &context).await?;
            if let Some(login) = self.create_login(&user, &context).await? {
                return Ok(self.token_pair(&login, user));
            }
        }
        Err(StoreError::Conflict.into())
    }

    pub(super) async fn verify_password(&self, message: VerifyPassword) -> Result<User, LoginError> {
        let VerifyPassword { user, email, password, context } = message;
        let verified = self.verify_credentials(caller::user(user), &email, &password, &context).await?;
        if verified.id == user { Ok(verified) } else { Err(StoreError::Conflict.into()) }
    }

    /// Returns the user with that address and password. An attempt is counted before its password is verified, so that concurrent attempts
    /// are limited too. It stays counted only if the password is wrong.
    async fn verify_credentials(
        &self,
        caller: Caller,
        email: &Email,
        password: &SecretString,
        context: &RequestContext,
    ) -> Result<User, LoginError> {
        let known = self.accounts.ask(GetCredentials { email: email.clone() }).await?;
        let counted = self.count_attempt(email, known.as_ref().map(|known| known.user.id), context).await?;
        let (user, hash) = known.map(|known| (known.user, known.password)).unzip();
        let hash = hash.flatten();
        let verify =
            password_hasher::VerifyPassword { caller: caller.clone(), password: password.clone(), hash: hash.clone() };
        let verified = self.deps.hasher.ask(verify).await;
        match (user, verified) {
            (Some(user), Ok(VerifyOutcome { matches: true, outdated })) => {
                self.deps.limiter.tell(Refund(counted));
                if let (true, Some(old)) = (outdated, hash) {
                    self.renew_hash(caller, user.id, old, password).await;
                }
                Ok(user)
            }
            (_, Ok(_)) => Err(LoginError::InvalidCredentials),
            (_, Err(error)) => {
                self.deps.limiter.tell(Refund(counted));
                Err(error.into())
            }
        }
    }

    async fn count_attempt(
        &self,
        email: &Email,
        user: Option<UserId>,
        context: &RequestContext,
    ) -> Result<Reservation, LoginError> {
        let client = context.rate_limit_key();
        // An unknown address costs the same query, so that timing does not reveal which accounts exist.
        let is_known = self.has_logged_in_from(user.unwrap_or(UserId(0)), &client).await?;
        let per_client =
            RateLimitKey { limit: self.limits.per_client, subject: format!("{} {client}", email.as_str()) };
        let unknown_clients = RateLimitKey { limit: self.limits.unknown_clients, subject: email.as_str().to_owned() };
        let keys = if is_known { vec![per_client] } else { vec![per_client, unknown_clients] };
        Ok(self.deps.limiter.ask(Acquire(keys)).await?)
    }

    /// Replaces a hash of an earlier cost. A failure does not fail the login.
    async fn renew_hash(&self, caller: Caller, user: UserId, old: PasswordHash, password: &SecretString) {
        let renewed: Result<(), LoginError> = async {
            let new = self.deps.hasher.ask(HashPassword { caller, password: password.clone() }).await?;
            Ok(self.accounts.ask(RenewPasswordHash { user, old, new }).await?)
        }
        .await;
        if let Err(error) = renewed {
            tracing::warn!(%error, %user, "outdated password hash was not renewed; the next login tries again");
        }
    }

    /// Admits active users. An inactive user gets a new code.
    async fn check_status(&self, user: &User, context: &RequestContext) -> Result<(), LoginError> {
        match user.status {
            Status::Active => Ok(()),
            Status::Inactive => {
                let resend =
                    ResendVerificationCode { user: user.id, revision: user.revision, context: context.clone() };
                self.accounts.ask(resend).await?;
                Err(LoginError::Inactive)
            }
            disabled @ (Status::Deactivated | Status::Suspended) => Err(LoginError::AccountDisabled(disabled)),
        }
    }

    async fn create_login(&self, user: &User, context: &RequestContext) -> Result<Option<Login>, LoginError> {
        let mut tx = self.deps.db.begin().await?;
        let new = NewLogin { user: user.id, device: &context.device, client_ip: &context.client_ip };
        let moment = (self.deps.clock.now(), &self.deps.rng);
        let cause = Cause { client: &context.client_ip, request_id: context.events.request_id() };
        let created = create(&mut tx, &new, cause, user.revision, self.refresh_lifetime, moment).await?;
        let Some((login, from_new_device)) = created else { return Ok(None) };
        tx.commit().await?;
        if from_new_device {
            self.deps.mailer.tell(mail::Poll);
        }
        Ok(Some(login))
    }
}

/// Creates a login, and queues a mail if its device is new. Returns the login and whether there is a mail, or `None` if the user has changed
/// since `revision`, at which the password was verified.
pub(super) async fn create(
    tx: &mut Tx,
    new: &NewLogin<'_>,
    cause: Cause<'_>,
    revision: i64,
    lifetime: Duration,
    (now, rng): (Timestamp, &Rng),
) -> Result<Option<(Login, bool)>, LoginError> {
    if !accounts::has_revision(tx, new.user, revision).await? {
        return Ok(None);
    }
    let from_new_device = is_new_device(tx, new.user, new.device).await?;
    let login = store::insert(tx, new, now, lifetime).await?;
    if from_new_device {
        let reason = MailReason::NewDevice { user: new.user, login: login.id };
        mail::enqueue(tx, rng.uuid_v7(now), &reason, cause, now).await?;
    }
    Ok(Some((login, from_new_device)))
}

/// Whether the user has logged in before, and never with that device. Concurrent logins with an unknown device wait here for each other,
/// so that exactly one of them is the first with it.
///
/// The caller holds the user's row. No transaction that waits for that row holds this lock, so the two cannot deadlock.
async fn is_new_device(tx: &mut Tx, user: UserId, device: &str) -> Result<bool, StoreError> {
    if store::has_logged_in_with(tx, user, device).await? {
        return Ok(false);
    }
    tx.lock(&format!("devices of {user}")).await?;
    store::is_new_device(tx, user, device).await
}
