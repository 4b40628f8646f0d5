//! What other modules do when an account changes. The modules above this one are injected, so that this one knows none of them.

use std::{future::Future, pin::Pin};

use faceofmind_db::Tx;
use faceofmind_model::{User, UserId};
use faceofmind_runtime::legacy::Failure;

/// What a hook returns.
pub type HookFuture<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// What other modules do in the transaction that changes an account.
pub trait AccountHooks: Send + Sync {
    /// Deletes everything that belongs to the user in other modules. The user is locked.
    fn erase<'a>(&'a self, tx: &'a mut Tx, user: &'a User) -> HookFuture<'a>;

    /// Follows a change of the user's time zone (IANA name).
    fn time_zone_changed<'a>(&'a self, tx: &'a mut Tx, user: UserId, time_zone: &'a str) -> HookFuture<'a>;
}
