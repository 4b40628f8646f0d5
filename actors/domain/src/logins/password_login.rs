//! The use cases with a password.

use std::time::Duration;

use faceofmind_base::{Rng, Timestamp};
use faceofmind_db::{StoreError, Tx};
use faceofmind_model::{
    ClaimId, Email, LoginId, MailReason, RequestContext, Status, User, UserId, request_context::rate_limit_key,
};
use faceofmind_platform::{
    caller,
    login_store::{self as store, Login, NewLogin},
    mail::{self, Cause},
    password_hasher::{self, HashPassword, PasswordHash, VerifyOutcome},
    rate_limit::{Acquire, RateLimitKey, Refund},
};
use faceofmind_runtime::{AskError, Caller};
use secrecy::SecretString;

use super::{LoginError, LoginLimits, PasswordLogin, TokenPair, VerifyPassword, service::LoginService};
use crate::accounts::{
    self, Credentials, GetCredentials, PasswordPolicy, RenewPasswordHash, RequestPasswordReset, ResendVerificationCode,
};

/// How often a password is verified again because its user changed meanwhile.
const MAX_ATTEMPTS: usize = 3;

/// A password that was typed with an address.
struct Attempt<'a> {
    caller: Caller,
    email: &'a Email,
    password: &'a SecretString,
    /// The user whom the address must be, if the client is signed in.
    user: Option<UserId>,
    /// The login of the token that the client presented.
    device: Option<LoginId>,
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
    /// Whether the client presented a token of a login to this account that has not ended. A login that the user ended may have been
    /// that of another person, whose next one must be mailed.
    is_known_device: bool,
}

/// How an account knows a client.
struct Source {
    /// The login to the account of which it presented a token, ended or not.
    device: Option<Login>,
    /// For a network that the account knows, the time when the user proved it, or 0.
    network: Option<i64>,
}

impl LoginService {
    pub(super) async fn log_in(&self, message: PasswordLogin) -> Result<TokenPair, LoginError> {
        let PasswordLogin { email, password, device, context } = &message;
        for _ in 0..MAX_ATTEMPTS {
            let caller = caller::network(context);
            let attempt =
                Attempt { caller, email, password, user: None, device: *device, context, accepts_registration: true };
            let verified = self.verify_credentials(&attempt).await?;
            self.check_status(&verified, context).await?;
            if let Some(login) = self.create_login(&verified, context).await? {
                return Ok(self.token_pair(&login, verified.user));
            }
        }
        Err(StoreError::Conflict.into())
    }

    pub(super) async fn verify_password(&self, message: VerifyPassword) -> Result<User, LoginError> {
        let VerifyPassword { user, login, email, password, context } = &message;
        let (caller, device) = (caller::user(*user), Some(*login));
        let user = Some(*user);
        let attempt = Attempt { caller, email, password, user, device, context, accepts_registration: false };
        Ok(self.verify_credentials(&attempt).await?.user)
    }

    /// Verifies a password. An attempt is counted before its password is verified, so that concurrent attempts are limited too. It stays
    /// counted only if the password is wrong.
    async fn verify_credentials(&self, attempt: &Attempt<'_>) -> Result<Verified, LoginError> {
        let known = self.accounts.ask(GetCredentials { email: attempt.email.clone() }).await?;
        if attempt.user.is_some_and(|user| known.as_ref().is_none_or(|known| known.user.id != user)) {
            // The address has changed since the token was checked. It may be another person's now.
            return Err(StoreError::Conflict.into());
        }
        let source = self.source(attempt, known.as_ref().map(|known| known.user.id)).await?;
        let counted = self.deps.limiter.ask(Acquire(self.limits_of(attempt, &source))).await?;
        let is_known_device = source.device.as_ref().is_some_and(|login| login.ended_at.is_none());
        let verified = self.compare(attempt, known, is_known_device).await;
        if !matches!(verified, Ok(None)) {
            self.deps.limiter.tell(Refund(counted));
        } else if source.device.is_some() {
            // Other clients in its network are limited by what it tried, but not it by what they tried.
            let others = self.limits_of(attempt, &Source { device: None, ..source });
            let _full_or_counted = self.deps.limiter.ask(Acquire(others)).await;
        }
        verified?.ok_or(LoginError::InvalidCredentials)
    }

    /// Compares with the account's password, and then with that of the newest pending registration, if there is one. Both comparisons are
    /// made whatever the first yields, and an inactive account, whose password is that of its registration, gets a constant hash for the
    /// second. So a client that has registered an address cannot tell by logging in whether the address has an account of another person.
    async fn compare(
        &self,
        attempt: &Attempt<'_>,
        known: Option<Credentials>,
        is_known_device: bool,
    ) -> Result<Option<Verified>, LoginError> {
        let Some(Credentials { user, password, pending }) = known else {
            self.compare_with(attempt, UserId(0), None).await?;
            return Ok(None);
        };
        let of_account = self.compare_with(attempt, user.id, password.clone()).await?;
        let registration = pending.as_ref().map(|pending| pending.registration);
        let pending = pending.filter(|_| attempt.accepts_registration).map(|pending| pending.password);
        let mut of_registration = None;
        if let Some(hash) = pending {
            let other = (user.status != Status::Inactive).then_some(hash);
            let outcome = self.compare_with(attempt, user.id, other.clone()).await?;
            of_registration = Some((outcome, other));
        }
        let is_owner = of_account.matches;
        if is_owner && is_probe(attempt, password.as_ref()) {
            self.mail_reset_code(attempt, user.id).await;
            return Ok(None);
        }
        let right = if is_owner { Some((of_account, password)) } else { of_registration };
        let Some((VerifyOutcome { matches: true, outdated, .. }, hash)) = right else { return Ok(None) };
        if let (true, Some(old)) = (is_owner && outdated, hash) {
            self.renew_hash(attempt, user.id, old).await;
        }
        Ok(Some(Verified { user, registration, is_owner, is_known_device }))
    }

    /// Compares with a hash of a user. Says in the log why no password can match it.
    async fn compare_with(
        &self,
        attempt: &Attempt<'_>,
        user: UserId,
        hash: Option<PasswordHash>,
    ) -> Result<VerifyOutcome, AskError> {
        let (caller, password) = (attempt.caller.clone(), attempt.password.clone());
        let kind = hash.as_ref().map(PasswordHash::kind);
        let outcome = self.deps.hasher.ask(password_hasher::VerifyPassword { caller, password, hash }).await?;
        if let (Some(kind), Some(fault)) = (kind, outcome.fault) {
            tracing::warn!(%user, %kind, %fault, "stored password hash cannot be verified; the user must reset the password");
        }
        Ok(outcome)
    }

    /// Mails a code as to a user who has forgotten the password, within the same limits. A failure does not change the response.
    async fn mail_reset_code(&self, attempt: &Attempt<'_>, user: UserId) {
        let (email, context) = (attempt.email.clone(), attempt.context.clone());
        match self.accounts.ask(RequestPasswordReset { email, context }).await {
            Ok(()) => {
                tracing::warn!(%user, "refused the password that the app sends to try reset codes; queued a reset code")
            }
            Err(error) => {
                tracing::warn!(%error, %user, "refused the password that the app sends to try reset codes, and failed to queue a reset code; the user must request one")
            }
        }
    }

    /// Returns how the account of the address knows the client. An unknown address costs the same queries, so that timing does not reveal
    /// which accounts exist.
    async fn source(&self, attempt: &Attempt<'_>, user: Option<UserId>) -> Result<Source, LoginError> {
        let user = user.unwrap_or(UserId(0));
        let login = match attempt.device {
            Some(device) => self.find(device).await?,
            None => None,
        };
        let device = login.filter(|login| login.user_id == user);
        let mut reader = self.deps.db.read_conn().await?;
        let network = store::known_since(&mut reader, user, &attempt.context.rate_limit_key()).await?;
        Ok(Source { device, network })
    }

    /// Returns the limits of an attempt. Strangers cannot use up those of a device or a network that the account knows, and other clients
    /// of a network cannot use up those of a device.
    fn limits_of(&self, attempt: &Attempt<'_>, source: &Source) -> Vec<RateLimitKey> {
        let (email, client) = (attempt.email.as_str(), attempt.context.rate_limit_key());
        let LoginLimits { per_client, unknown_clients, per_known_client } = self.limits;
        let key = |limit, subject: &str| RateLimitKey { limit, subject: subject.to_owned() };
        let known = |subject: &str| vec![key(per_client, subject), key(per_known_client, subject)];
        match source {
            Source { device: Some(login), .. } => known(&format!("{email} login {}", login.id)),
            // What other clients of the network have used up does not bar a user who has proved the mailbox since.
            Source { network: Some(proven_at @ 1..), .. } => known(&format!("{email} {client} {proven_at}")),
            Source { network: Some(_), .. } => known(&format!("{email} {client}")),
            Source { network: None, .. } => {
                vec![key(per_client, &format!("{email} {client}")), key(unknown_clients, email)]
            }
        }
    }

    /// Replaces a hash of another kind or cost, unless the password has changed meanwhile. A failure does not fail the login.
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
        let &Verified { user: User { id: user, revision, status, .. }, registration, is_owner, .. } = verified;
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

    async fn create_login(&self, verified: &Verified, context: &RequestContext) -> Result<Option<Login>, LoginError> {
        let Verified { user, is_known_device, .. } = verified;
        let mut tx = self.deps.db.begin().await?;
        let new = NewLogin { user: user.id, device: &context.device, client_ip: &context.client_ip };
        let moment = (self.deps.clock.now(), &self.deps.rng);
        let cause = Cause { client: &context.client_ip, request_id: context.events.request_id() };
        let created =
            create(&mut tx, &new, *is_known_device, cause, user.revision, self.refresh_lifetime, moment).await?;
        let Some((login, from_new_device)) = created else { return Ok(None) };
        tx.commit().await?;
        if from_new_device {
            self.deps.mailer.tell(mail::Poll);
        }
        Ok(Some(login))
    }
}

/// Whether the password is the one that the app sends to try reset codes, set by the predecessor because a code was right. This program has
/// never set it.
fn is_probe(attempt: &Attempt<'_>, hash: Option<&PasswordHash>) -> bool {
    hash.is_some_and(PasswordHash::is_legacy) && PasswordPolicy::is_reserved(attempt.password)
}

/// Creates a login, and queues a mail if its device is new: neither known by a token, nor by its name and network. Returns the login and
/// whether there is a mail, or `None` if the user has changed since `revision`, at which the password was verified.
pub(super) async fn create(
    tx: &mut Tx,
    new: &NewLogin<'_>,
    is_known_device: bool,
    cause: Cause<'_>,
    revision: i64,
    lifetime: Duration,
    (now, rng): (Timestamp, &Rng),
) -> Result<Option<(Login, bool)>, LoginError> {
    if !accounts::has_revision(tx, new.user, revision).await? {
        return Ok(None);
    }
    let from_new_device = !is_known_device && is_new_device(tx, new).await?;
    let login = store::insert(tx, new, now, lifetime).await?;
    if from_new_device {
        let reason = MailReason::NewDevice { user: new.user, login: login.id };
        mail::enqueue(tx, rng.uuid_v7(now), &reason, cause, now).await?;
    }
    Ok(Some((login, from_new_device)))
}

/// Whether the user has logged in before, and never with that device from that network: any client can name its device as it likes.
/// Concurrent logins with an unknown device wait here for each other, so that exactly one of them is the first with it.
///
/// The caller holds the user's row. No transaction that waits for that row holds this lock, so the two cannot deadlock.
async fn is_new_device(tx: &mut Tx, new: &NewLogin<'_>) -> Result<bool, StoreError> {
    let network = rate_limit_key(new.client_ip);
    if store::has_logged_in_with(tx, new.user, new.device, &network).await? {
        return Ok(false);
    }
    tx.lock(&format!("devices of {}", new.user)).await?;
    Ok(store::has_logged_in(tx, new.user).await?
        && !store::has_logged_in_with(tx, new.user, new.device, &network).await?)
}
