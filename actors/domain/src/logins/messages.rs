//! What the login registry can be asked. [`Authenticator`](super::Authenticator) answers for access tokens.

use std::{fmt, sync::Arc, time::Duration};

use faceofmind_base::Timestamp;
use faceofmind_db::StoreError;
use faceofmind_model::{Email, LoginId, RequestContext, Status, User, UserId};
use faceofmind_platform::{login_store::Login, rate_limit::RateLimitError};
use faceofmind_runtime::{AskError, messages};
use secrecy::SecretString;

use super::{AuthenticatedUser, tokens::TokenRef};
use crate::accounts::AccountError;

/// The deadline of requests that wait in the hash queue (20 s) and in the rate limiter. It is below the edge's own limit of 30 s, so that
/// the caller hears which actor was slow.
const HASHING_DEADLINE: Duration = Duration::from_secs(28);

/// Logs in with a password. For an unknown e-mail address it does the same work as for a wrong password.
#[derive(Debug)]
pub struct PasswordLogin {
    pub email: Email,
    pub password: SecretString,
    /// The login of the device token that the client presented.
    pub device: Option<LoginId>,
    pub context: RequestContext,
}

/// Verifies the password of a signed-in user and returns the user as they were then. A wrong password counts as a failed login.
#[derive(Debug)]
pub struct VerifyPassword {
    pub user: UserId,
    /// The login of the access token.
    pub login: LoginId,
    /// The user's address when the access token was read. [`StoreError::Conflict`] if it is another user's by now.
    pub email: Email,
    pub password: SecretString,
    pub context: RequestContext,
}

/// Makes new tokens from a refresh token. Reuse of a replaced token ends the login.
#[derive(Debug)]
pub struct RefreshTokens {
    pub refresh_token: SecretString,
}

/// Ends one login of the user. Replies with false when it is another user's or has ended before.
#[derive(Debug)]
pub struct EndLogin {
    pub user: UserId,
    pub login: LoginId,
}

/// Ends every login of the user.
#[derive(Debug)]
pub struct EndAllLogins {
    pub user: UserId,
}

/// Lists the user's logins that have neither ended nor expired, newest first.
#[derive(Debug)]
pub struct ListLogins {
    pub user: UserId,
    /// The login that asks.
    pub current: LoginId,
}

/// Reads a login, ended or not.
#[derive(Debug)]
pub struct FindLogin {
    pub login: LoginId,
}

/// Reads the user and the login of an access token, and marks its generation as used before it replies.
pub(super) struct Authenticate {
    pub(super) user: UserId,
    pub(super) token: TokenRef,
}

/// Reads the user of a login. The login is [`TokenError::Invalid`] when it has ended or expired, or the user is not active.
pub(super) struct GetLoggedInUser {
    pub(super) user: UserId,
    pub(super) login: LoginId,
}

/// A login as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginSummary {
    pub id: LoginId,
    /// The device, as the client named it at the login.
    pub device: String,
    /// The client's network address at the login.
    pub client_ip: String,
    pub created_at: Timestamp,
    /// When it was last refreshed, or a generation first used.
    pub last_used_at: Timestamp,
    /// Whether it is the login that asks.
    pub current: bool,
}

/// The tokens of a login and its user. `Debug` prints no token.
#[derive(Clone)]
pub struct TokenPair {
    pub access_token: String,
    pub refresh_token: String,
    /// By which the client's later logins to this account are known as those of the same device.
    pub device_token: String,
    /// The lifetime of the access token in seconds.
    pub expires_in: i64,
    pub user: Arc<User>,
}

impl fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPair").field("user", &self.user.id).finish_non_exhaustive()
    }
}

messages! {
    Error = LoginError;
    PasswordLogin => TokenPair, within HASHING_DEADLINE;
    VerifyPassword => User, within HASHING_DEADLINE;
    EndLogin => bool;
    EndAllLogins => ();
    ListLogins => Vec<LoginSummary>;
    FindLogin => Option<Login>;
}

messages! {
    Error = TokenError;
    RefreshTokens => TokenPair;
    Authenticate => AuthenticatedUser;
    GetLoggedInUser => Arc<User>;
}

/// Why a request about a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Unknown address or wrong password; the reply does not say which.
    #[error("the credentials are invalid")]
    InvalidCredentials,
    /// The password is right, the address is not verified. A code is sent to it, within its quota.
    #[error("the account is not active")]
    Inactive,
    /// The password is right, the account is suspended or deactivated.
    #[error("the account is {}", .0.as_str())]
    AccountDisabled(Status),
    #[error("too many failed logins; retry in {} s", .retry_after.as_secs())]
    RateLimited { retry_after: Duration },
    #[error(transparent)]
    Ask(#[from] AskError),
    /// [`StoreError::Conflict`] also when the user changed again and again while the password was verified.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Malformed, forged, expired, revoked, or of another kind.
    #[error("the token is invalid")]
    Invalid,
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the logins ask of the accounts is about users that were read before. A refusal means that they have changed since.
fn ask_or_store<E: From<AskError> + From<StoreError>>(error: AccountError) -> E {
    match error {
        AccountError::Ask(error) => error.into(),
        AccountError::Store(error) => error.into(),
        _ => StoreError::Conflict.into(),
    }
}

impl From<AccountError> for LoginError {
    fn from(error: AccountError) -> Self {
        ask_or_store(error)
    }
}

impl From<AccountError> for TokenError {
    fn from(error: AccountError) -> Self {
        ask_or_store(error)
    }
}

impl From<RateLimitError> for LoginError {
    fn from(error: RateLimitError) -> Self {
        match error {
            RateLimitError::Exceeded { retry_after } => Self::RateLimited { retry_after },
            RateLimitError::Ask(error) => error.into(),
        }
    }
}
