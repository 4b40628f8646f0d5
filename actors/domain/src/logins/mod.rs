//! Logins: refresh generations, and what makes an access token valid.

mod actor;
mod authenticator;
mod messages;
mod password_login;
mod rules;
mod service;
mod tokens;
mod verified_tokens;
mod watch;

#[cfg(test)]
mod tests;

pub use actor::{LoginLimits, LoginRegistry, Settings, Status};
pub use authenticator::{AuthenticatedUser, Authenticator};
pub use messages::{
    EndAllLogins, EndLogin, FindLogin, ListLogins, LoginError, LoginSummary, PasswordLogin, RefreshTokens, TokenError,
    TokenPair, VerifyPassword,
};
pub use service::LoginService;
pub use tokens::{DEVICE_TOKEN_LIFETIME, TokenSettings};
pub use watch::LoginWatch;
