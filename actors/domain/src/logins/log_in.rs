//! Logging in with a password.

use std::time::Duration;

use faceofmind_runtime::legacy::Failure;
use secrecy::SecretString;

use super::{LoggedIn, Logins, Message, ledger::Entry};
use crate::accounts::{Credentials, GetCredentials, RenewPasswordHash, ResendVerificationCode};
use faceofmind_model::RequestContext;
use faceofmind_model::user::{Email, Status, UserId};
use faceofmind_platform::password_hasher::{PasswordHash, Verdict};
use faceofmind_platform::rate_limit::{Limit, LimitError, Taken, Use};

/// How often a wrong password may be typed for one account.
#[derive(Clone, Copy, Debug)]
pub struct LogInLimits {
    /// From one client address.
    pub by_address: Limit,
    /// From all addresses together that never logged in to it: a stranger shall not lock an owner out.
    pub by_strangers: Limit,
}

/// What a person types, and from where.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Theirs, or so they say.
    pub email: Email,
    /// Likewise.
    pub password: SecretString,
    /// From where.
    pub client: RequestContext,
}

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// No such pair; which of the two is wrong is not told.
    #[error("Incorrect email or password")]
    BadPair,
    /// The password is right; the address is not proven. A fresh code is on its way, within the budget.
    #[error("Account is not active. Please verify your email.")]
    Inactive,
    /// The password is right; the account is closed or barred.
    #[error("This account is {}.", .0.as_str())]
    Barred(Status),
    /// Too many wrong tries.
    #[error("Too many failed log-ins.")]
    TooMany {
        /// When to try again.
        retry_after: Duration,
    },
    /// Not done.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<faceofmind_db::StoreError> for LogInError {
    fn from(error: faceofmind_db::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<LimitError> for LogInError {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::Exceeded { retry_after } => Self::TooMany { retry_after },
            LimitError::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl Logins {
    /// Logs a person in. For an unknown e-mail the same work is done as for a wrong password.
    ///
    /// # Errors
    /// [`LogInError`].
    pub async fn log_in(&self, attempt: Attempt) -> Result<LoggedIn, LogInError> {
        for _ in 0..3 {
            let credentials = self.prove_password(&attempt.email, &attempt.password, &attempt.client).await?;
            self.refuse_barred(&credentials, &attempt.client).await?;
            let entry = Entry {
                user: credentials.user,
                device: attempt.client.device.clone(),
                address: attempt.client.client_ip.clone(),
            };
            if let Some(logged_in) = self.address.ask(|reply| Message::Open(Box::new(entry), reply)).await? {
                return Ok(logged_in);
            }
        }
        Err(Failure::Busy("logins").into())
    }

    /// Compares a password, counting wrong ones before they are compared: tries in parallel count too.
    ///
    /// # Errors
    /// [`LogInError::BadPair`], [`LogInError::TooMany`].
    pub async fn prove_password(
        &self,
        email: &Email,
        password: &SecretString,
        client: &RequestContext,
    ) -> Result<Credentials, LogInError> {
        let known =
            self.neighbours.registry.ask(GetCredentials { email: email.clone() }).await.map_err(Failure::from)?;
        let taken = self.count_try(email, known.as_ref().map(|known| known.user.id), client).await?;
        let hash = known.as_ref().and_then(|known| known.password.clone());
        let verdict = self.neighbours.hasher.verify(password.clone(), hash.clone()).await;
        match (known, verdict) {
            (Some(credentials), Ok(Verdict { matches: true, outdated })) => {
                self.neighbours.limits.give_back(taken).await;
                if let (true, Some(old)) = (outdated, hash) {
                    self.renew(&credentials, old, password).await;
                }
                Ok(credentials)
            }
            (_, Ok(_)) => Err(LogInError::BadPair),
            (_, Err(failure)) => {
                self.neighbours.limits.give_back(taken).await;
                Err(failure.into())
            }
        }
    }

    async fn count_try(
        &self,
        email: &Email,
        user: Option<UserId>,
        client: &RequestContext,
    ) -> Result<Taken, LogInError> {
        let user = user.unwrap_or(UserId(0));
        let counted_as = client.rate_limit_key();
        let is_known = self.address.ask(|reply| Message::Knows { user, counted_as, reply }).await?;
        let from_here =
            Use { limit: self.limits.by_address, subject: format!("{} {}", email.as_str(), client.rate_limit_key()) };
        let stranger = Use { limit: self.limits.by_strangers, subject: email.as_str().to_owned() };
        let uses = if is_known { vec![from_here] } else { vec![from_here, stranger] };
        Ok(self.neighbours.limits.take(&uses).await?)
    }

    /// Makes the hash again at today's cost. That it could not be is no reason to keep a person out.
    async fn renew(&self, credentials: &Credentials, old: PasswordHash, password: &SecretString) {
        let renewed: Result<(), Failure> = async {
            let new = self.neighbours.hasher.hash(password.clone()).await?;
            Ok(self.neighbours.registry.ask(RenewPasswordHash { user: credentials.user.id, old, new }).await?)
        }
        .await;
        if let Err(failure) = renewed {
            tracing::warn!(%failure, user = %credentials.user.id, "an outdated password hash was not renewed");
        }
    }

    async fn refuse_barred(&self, credentials: &Credentials, client: &RequestContext) -> Result<(), LogInError> {
        match credentials.user.status {
            Status::Active => Ok(()),
            Status::Inactive => {
                let (user, revision) = (credentials.user.id, credentials.user.revision);
                let resend = ResendVerificationCode { user, revision, context: client.clone() };
                self.neighbours.registry.ask(resend).await.map_err(Failure::from)?;
                Err(LogInError::Inactive)
            }
            barred @ (Status::Deactivated | Status::Suspended) => Err(LogInError::Barred(barred)),
        }
    }
}
