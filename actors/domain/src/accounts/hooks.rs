//! What other modules do when an account changes.

use faceofmind_db::{StoreError, Tx};
use faceofmind_model::{Email, UserId};
use futures_util::future::BoxFuture;

/// What a hook returns.
pub type HookFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// One transaction of an erasure. The user is locked.
#[derive(Clone, Copy, Debug)]
pub struct ErasureSlice<'a> {
    pub user: UserId,
    /// None after the first transaction, which removes all that is stored under the address.
    pub email: Option<&'a Email>,
    /// The most rows to remove from a table of which a user may have many.
    pub max_rows: usize,
}

/// What other modules do in the transaction that changes an account. The system injects it, so that this module does not depend on them.
#[derive(Clone, Copy)]
pub struct AccountHooks {
    /// Removes what belongs to the user in other modules, and returns whether rows may remain for another slice.
    pub erase: for<'a> fn(&'a mut Tx, ErasureSlice<'a>) -> HookFuture<'a, bool>,
    /// Follows a change of the user's time zone (IANA name).
    pub time_zone_changed: for<'a> fn(&'a mut Tx, UserId, &'a str) -> HookFuture<'a, ()>,
}
