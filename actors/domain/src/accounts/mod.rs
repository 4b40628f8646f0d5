//! Accounts: users, their e-mail addresses, passwords, roles and status.
//!
//! The actor runs each request as a task of its own, in parallel. Row locks and constraints in the database are the only serialiser, between
//! requests as between nodes:
//!
//! | request | what serialises it |
//! |---|---|
//! | registration | the unique e-mail address: `INSERT … ON CONFLICT DO UPDATE` locks the user's row before anything else |
//! | creation of an admin | the same; it fails when the row existed |
//! | verification, new password, change of the e-mail address, update | the lock on the user's row, under which all that the request relies on is read again |
//! | fresh hash of the same password | compare-and-set on the stored hash |
//! | check of a revision | a share lock, which waits for a change in progress |
//! | deletion, slice of an erasure | a lock on the user's row that also conflicts with references to it |
//! | loss of an active admin | a named lock, taken before the user's row |
//!
//! While an erasure removes the rows of a user in slices, the row in `users` stays with the status `erasing`, and no query finds it.
//!
//! A code is consumed in one step of its store, so of two requests with the same code one succeeds.

mod actor;
mod bulk;
mod erasures;
mod error;
mod export;
mod hooks;
mod listing;
mod mail;
mod messages;
mod password_policy;
mod pending_email_changes;
mod pending_registrations;
mod search;
mod service;
mod store;
mod user_counts;

pub use actor::{NAME, Status, UserRegistry};
pub use bulk::{filter_active, lock_and_get_time_zones, lock_free_users};
pub use error::{AccountError, PasswordError};
pub use export::export;
pub use hooks::{AccountHooks, ErasureSlice, HookFuture};
pub use listing::{ListUsers, UserPage};
pub use mail::{MailContext, MailTopic};
pub use messages::{
    ChangePassword, ConfirmEmailChange, CreateAdmin, Credentials, DeleteUser, GetCredentials, GetMailContext, GetUser,
    PendingCredentials, Register, RenewPasswordHash, RequestEmailChange, RequestPasswordReset, ResendVerificationCode,
    ResetPassword, UpdateUser, VerifyEmail,
};
pub use password_policy::{PasswordPolicy, PolicyViolation};
pub use service::{AccountService, Settings};
pub use store::{has_revision, lock_key_share};
