//! What other modules do when an account changes.

use std::{future::Future, pin::Pin};

use faceofmind_db::{StoreError, Tx};
use faceofmind_model::{User, UserId};

/// What a hook returns.
pub type HookFuture<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// What other modules do in the transaction that changes an account. The system injects it, so that this module does not depend on them.
#[derive(Clone, Copy)]
pub struct AccountHooks {
    /// Deletes everything that belongs to the user in other modules. The user is locked.
    pub erase: for<'a> fn(&'a mut Tx, &'a User) -> HookFuture<'a>,
    /// Follows a change of the user's time zone (IANA name).
    pub time_zone_changed: for<'a> fn(&'a mut Tx, UserId, &'a str) -> HookFuture<'a>,
}
