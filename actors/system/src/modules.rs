//! The list of modules: what must happen to each of them when a user is erased or exported, or a key is rotated.
//!
//! To add a module, add its entry here.

use std::{future::Future, pin::Pin};

use faceofmind_db::{
    Database, Snapshot, StoreError, Tx,
    export::{ExportAborted, JsonWriter},
};
use faceofmind_domain::{
    accounts::{self, AccountHooks, ErasureSlice, HookFuture},
    community, logins, reminders, sessions,
};
use faceofmind_model::UserId;
use faceofmind_platform::{
    encryption::{Keyring, RotationPass},
    idempotency, login_store, mail, outbox,
};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One module that holds data of users.
pub(crate) struct Module {
    /// Removes what the module holds of a user, and returns whether rows may remain for another transaction.
    pub(crate) erase: for<'a> fn(&'a mut Tx, ErasureSlice<'a>) -> HookFuture<'a, bool>,
    /// Writes what the module holds of a user into an export, where it does not repeat what another module writes.
    pub(crate) export: Option<Export>,
    /// The module's encrypted texts, and how they are re-encrypted with the first key.
    pub(crate) reencrypt: Option<(&'static str, Reencrypt)>,
}

/// Writes what the module holds of a user.
pub(crate) type Export = for<'a> fn(ExportInput<'a>) -> BoxFuture<'a, Result<(), ExportAborted>>;

/// Re-encrypts what the module holds.
pub(crate) type Reencrypt = for<'a> fn(&'a Database, &'a mut RotationPass<'_>) -> BoxFuture<'a, Result<(), StoreError>>;

/// What a module's export needs.
pub(crate) struct ExportInput<'a> {
    pub(crate) snapshot: &'a mut Snapshot,
    pub(crate) keyring: &'a Keyring,
    pub(crate) user: UserId,
    pub(crate) writer: &'a mut JsonWriter,
}

/// Every module that holds data of users. An export lists them in this order, and an erasure deletes in this order: mails and events come
/// last, because what the modules before them are sending or recording is waited for by their locks. Sessions and events are removed in
/// slices: a device that streams detections records many. The other modules remove everything in the first transaction; what other users
/// can read, posts and comments, is then gone at once.
pub(crate) const MODULES: [Module; 8] = [
    Module {
        erase: |_, _| Box::pin(async { Ok(false) }),
        export: Some(|of| Box::pin(accounts::export(of.snapshot, of.user, of.writer))),
        reencrypt: None,
    },
    Module {
        erase: |tx, slice| whole(login_store::erase(tx, slice.user)),
        export: Some(|of| Box::pin(logins::export(of.snapshot, of.user, of.writer))),
        reencrypt: None,
    },
    Module {
        erase: |tx, slice| Box::pin(sessions::erase(tx, slice.user, slice.max_rows)),
        export: Some(|of| Box::pin(sessions::export(of.snapshot, of.keyring, of.user, of.writer))),
        reencrypt: Some(("voice texts", |db, pass| Box::pin(async { Ok(sessions::reencrypt(db, pass).await?) }))),
    },
    Module {
        erase: |tx, slice| whole(community::erase(tx, slice.user)),
        export: Some(|of| Box::pin(community::export(of.snapshot, of.user, of.writer))),
        reencrypt: None,
    },
    Module {
        erase: |tx, slice| whole(reminders::erase(tx, slice.user)),
        export: Some(|of| Box::pin(reminders::export(of.snapshot, of.user, of.writer))),
        reencrypt: None,
    },
    Module { erase: |tx, slice| whole(erase_mail(tx, slice)), export: None, reencrypt: None },
    Module {
        erase: |tx, slice| whole(idempotency::erase(tx, slice.user)),
        export: None,
        reencrypt: Some(("stored responses", |db, pass| Box::pin(idempotency::reencrypt(db, pass)))),
    },
    Module {
        erase: |tx, slice| Box::pin(outbox::erase(tx, slice.user, slice.max_rows)),
        export: None,
        reencrypt: None,
    },
];

/// What the modules do in a transaction of accounts.
pub(crate) const ACCOUNT_HOOKS: AccountHooks = AccountHooks {
    erase: |tx, slice| Box::pin(erase(tx, slice)),
    time_zone_changed: |tx, user, zone| Box::pin(reminders::rezone(tx, user, zone)),
};

async fn erase(tx: &mut Tx, slice: ErasureSlice<'_>) -> Result<bool, StoreError> {
    let mut rows_remain = false;
    for module in MODULES {
        rows_remain |= (module.erase)(tx, slice).await?;
    }
    Ok(rows_remain)
}

async fn erase_mail(tx: &mut Tx, slice: ErasureSlice<'_>) -> Result<(), StoreError> {
    match slice.email {
        Some(email) => mail::erase(tx, slice.user, email).await,
        None => Ok(()),
    }
}

/// For a module that removes all its rows in each slice.
fn whole<'a>(erased: impl Future<Output = Result<(), StoreError>> + Send + 'a) -> HookFuture<'a, bool> {
    Box::pin(async { erased.await.map(|()| false) })
}
