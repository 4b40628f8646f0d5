//! The use cases with a password.

use std::time::Duration;

use faceofmind_base::{Rng, Timestamp};
use faceofmind_db::{StoreError, Tx};
use faceofmind_model::{
    ClaimId, Email, MailReason, RequestContext, Status, User, UserId, request_context::rate_limit_key,
};
use faceofmind_platform::{
    caller,
    login_store::{self as store, Login, NewLogin},
    mail,
    password_hasher::{self, HashPassword, PasswordHash, VerifyOutcome},
    rate_limit::{Acquire, RateLimitKey, Refund, Reservation},
};
use faceofmind_runtime::{AskError, Caller};
use secrecy::SecretString;

use super::{LoginError, PasswordLogin, TokenPair, VerifyPassword, service::LoginService};
use crate::accounts::{self, Credentials, GetCredentials, RenewPasswordHash, ResendVerificationCode};

/// How often a password is verified again because its user changed meanwhile.
const MAX_ATTEMPTS: usize = 3;

/// A password that was typed with an address.
struct Attempt<'a> {
    caller: Caller,
    email: &'a Email,
    password: &'a SecretString,
    context: &'a RequestContext,
    /// Whether the password of the newest pending registration of the address is right too.
    accepts_registration: bool,
}

/// What a password was right for.
struct Verified {
    user: User,
    /// The newest pending registration of the address.
    registration: Option<ClaimId>,
    /// Whether the password is the account's. Otherwise it is that of the registration, and the account is another person's.
    is_owner: bool,
}

impl LoginService {
    pub(super) async fn log_in(&self, message: PasswordLogin) -> Result<TokenPair, LoginError> {
        let PasswordLogin { email, password, context } = &message;
        for _ in 0..MAX_ATTEMPTS {
            let caller = caller::network(context);
            let attempt = Attempt { caller, email, password, context, accepts_registration: true };
            let verified = self.verify_credentials(&attempt).await?;
            self.check_status(&verified, context).await?;
            if let Some(login) = self.create_login(&verified.user, context).await? {
                return Ok(self.token_pair(&login, verified.user));
            }
        }
        Err(StoreError::Conflict.into())
    }

    pub(super) async fn verify_password(&self, message: VerifyPassword) -> Result<User, LoginError> {
        let VerifyPassword { user, email, password, context } = &message;
        let caller = caller::user(*user);
        let attempt = Attempt { caller, email, password, context, accepts_registration: false };
        let verified = self.verify_credentials(&attempt).await?.user;
        if verified.id == *user { Ok(verified) } else { Err(StoreError::Conflict.into()) }
    }

    /// Verifies a password. An attempt is counted before its password is verified, so that concurrent attempts are limited too. It stays
    /// counted only if the password is wrong.
    async fn verify_credentials(&self, attempt: &Attempt<'_>) -> Result<Verified, LoginError> {
        let known = self.accounts.ask(GetCredentials { email: attempt.email.clone() }).await?;
        let user = known.as_ref().map(|known| known.user.id);
        let counted = self.count_attempt(attempt.email, user, attempt.context).await?;
        let verified = self.compare(attempt, known).await;
        if matches!(verified, Ok(None)) {
            return Err(LoginError::InvalidCredentials);
        }
        self.deps.limiter.tell(Refund(counted));
        verified.and_then(|verified| verified.ok_or(LoginError::InvalidCredentials))
    }

    /// Compares with the account's password, and then with that of the newest pending registration, if there is one. Both comparisons are
    /// made whatever the first yields, and an inactive account, whose password is that of its registration, gets a constant hash for the
    /// second. So a client that has registered an address cannot tell by logging in whether the address has an account of another person.
    async fn compare(&self, attempt: &Attempt<'_>, known: Option<Credentials>) -> Result<Option<Verified>, LoginError> {
        let Some(Credentials { user, password, pending }) = known else {
            self.compare_with(attempt, None).await?;
            return Ok(None);
        };
        let of_account = self.compare_with(attempt, password.clone()).await?;
        let registration = pending.as_ref().map(|pending| pending.registration);
        let pending = pending.filter(|_| attempt.accepts_registration).map(|pending| pending.password);
        let mut of_registration = None;
        if let Some(hash) = pending {
            let other = (user.status != Status::Inactive).then_some(hash);
            let outcome = self.compare_with(attempt, other.clone()).await?;
            of_registration = Some((outcome, other));
        }
        let is_owner = of_account.matches;
        let right = if is_owner { Some((of_account, password)) } else { of_registration };
        let Some((VerifyOutcome { matches: true, outdated }, hash)) = right else { return Ok(None) };
        if let (true, Some(old)) = (outdated, hash) {
            self.renew_hash(attempt, user.id, old).await;
        }
        Ok(Some(Verified { user, registration, is_owner }))
    }

    async fn compare_with(&self, attempt: &Attempt<'_>, hash: Option<PasswordHash>) -> Result<VerifyOutcome, AskError> {
        let (caller, password) = (attempt.caller.clone(), attempt.password.clone());
        self.deps.hasher.ask(password_hasher::VerifyPassword { caller, password, hash }).await
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
    async fn renew_hash(&self, attempt: &Attempt<'_>, user: UserId, old: PasswordHash) {
        let (caller, password) = (attempt.caller.clone(), attempt.password.clone());
        let renewed: Result<(), LoginError> = async {
            let new = self.deps.hasher.ask(HashPassword { caller, password }).await?;
            Ok(self.accounts.ask(RenewPasswordHash { user, old, new }).await?)
        }
        .await;
        if let Err(error) = renewed {
            tracing::warn!(%error, %user, "outdated password hash was not renewed; the next login tries again");
        }
    }

    /// Admits active users. The password of an inactive account or of a pending registration gets a new mail.
    async fn check_status(&self, verified: &Verified, context: &RequestContext) -> Result<(), LoginError> {
        let &Verified { user: User { id: user, revision, status, .. }, registration, is_owner } = verified;
        match status {
            Status::Active if is_owner => Ok(()),
            disabled @ (Status::Deactivated | Status::Suspended) if is_owner => {
                Err(LoginError::AccountDisabled(disabled))
            }
            _ => {
                let resend = ResendVerificationCode { user, revision, registration, context: context.clone() };
                self.accounts.ask(resend).await?;
                Err(LoginError::Inactive)
            }
        }
    }

    async fn create_login(&self, user: &User, context: &RequestContext) -> Result<Option<Login>, LoginError> {
        let mut tx = self.deps.db.begin().await?;
        let new = NewLogin { user: user.id, device: &context.device, client_ip: &context.client_ip };
        let moment = (self.deps.clock.now(), &self.deps.rng);
        let created = create(&mut tx, &new, user.revision, self.refresh_lifetime, moment).await?;
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
    revision: i64,
    lifetime: Duration,
    (now, rng): (Timestamp, &Rng),
) -> Result<Option<(Login, bool)>, LoginError> {
    if !accounts::has_revision(tx, new.user, revision).await? {
        return Ok(None);
    }
    let from_new_device = is_new_device(tx, new).await?;
    let login = store::insert(tx, new, now, lifetime).await?;
    if from_new_device {
        let reason = MailReason::NewDevice { user: new.user, login: login.id };
        mail::enqueue(tx, rng.uuid_v7(now), &reason, new.client_ip, now).await?;
    }
    Ok(Some((login, from_new_device)))
}

/// Whether the user has logged in before, and never with that device from that network: any client can name its device as it likes.
/// Concurrent logins with an unknown device wait here for each other, so that exactly one of them is the first with it.
///
/// The caller holds the user's row. No transaction that waits for that row holds this lock, so the two cannot deadlock.
async fn is_new_device(tx: &mut Tx, new: &NewLogin<'_>) -> Result<bool, StoreError> {
    if has_logged_in_with(tx, new).await? {
        return Ok(false);
    }
    tx.lock(&format!("devices of {}", new.user)).await?;
    Ok(store::has_logged_in(tx, new.user).await? && !has_logged_in_with(tx, new).await?)
}

/// Whether the user has logged in with that device from that network.
async fn has_logged_in_with(tx: &mut Tx, new: &NewLogin<'_>) -> Result<bool, StoreError> {
    let network = rate_limit_key(new.client_ip);
    let known = store::client_ips_of_device(tx, new.user, new.device).await?;
    Ok(known.iter().any(|client_ip| rate_limit_key(client_ip) == network))
}
