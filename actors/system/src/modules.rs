//! The list of modules: what must happen to each of them when a user is erased or exported, or a key is rotated.
//!
//! To add a module, add its entry here.

use std::{future::Future, pin::Pin};

use faceofmind_db::{
    Database, Snapshot, StoreError, Tx,
    export::{ExportAborted, JsonWriter},
};
use faceofmind_domain::{
    accounts::{self, AccountHooks},
    community, logins, reminders, sessions,
};
use faceofmind_model::{User, UserId};
use faceofmind_platform::{
    encryption::{Keyring, RotationPass},
    idempotency, login_store, mail, outbox,
};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One module that holds data of users.
pub(crate) struct Module {
    /// Deletes what the module holds of a user, in the transaction that erases the user.
    pub(crate) erase: for<'a> fn(&'a mut Tx, &'a User) -> BoxFuture<'a, Result<(), StoreError>>,
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
/// last, because what the modules before them are sending or recording is waited for by their locks.
pub(crate) const MODULES: [Module; 8] = [
    Module {
        erase: |_, _| Box::pin(async { Ok(()) }),
        export: Some(|of| Box::pin(accounts::export(of.snapshot, of.user, of.writer))),
        reencrypt: None,
    },
    Module {
        erase: |tx, user| Box::pin(login_store::erase(tx, user.id)),
        export: Some(|of| Box::pin(logins::export(of.snapshot, of.user, of.writer))),
        reencrypt: None,
    },
    Module {
        erase: |tx, user| Box::pin(sessions::erase(tx, user.id)),
        export: Some(|of| Box::pin(sessions::export(of.snapshot, of.keyring, of.user, of.writer))),
        reencrypt: Some(("voice texts", |db, pass| Box::pin(sessions::reencrypt(db, pass)))),
    },
    Module {
        erase: |tx, user| Box::pin(community::erase(tx, user.id)),
        export: Some(|of| Box::pin(community::export(of.snapshot, of.user, of.writer))),
        reencrypt: None,
    },
    Module {
        erase: |tx, user| Box::pin(reminders::erase(tx, user.id)),
        export: Some(|of| Box::pin(reminders::export(of.snapshot, of.user, of.writer))),
        reencrypt: None,
    },
    Module { erase: |tx, user| Box::pin(mail::erase(tx, user.id, &user.email)), export: None, reencrypt: None },
    Module {
        erase: |tx, user| Box::pin(idempotency::erase(tx, user.id)),
        export: None,
        reencrypt: Some(("stored responses", |db, pass| Box::pin(idempotency::reencrypt(db, pass)))),
    },
    Module { erase: |tx, user| Box::pin(outbox::erase(tx, user.id)), export: None, reencrypt: None },
];

/// What the modules do in a transaction of accounts.
pub(crate) const ACCOUNT_HOOKS: AccountHooks = AccountHooks {
    erase: |tx, user| Box::pin(erase(tx, user)),
    time_zone_changed: |tx, user, zone| Box::pin(reminders::rezone(tx, user, zone)),
};

async fn erase(tx: &mut Tx, user: &User) -> Result<(), StoreError> {
    for module in MODULES {
        (module.erase)(tx, user).await?;
    }
    Ok(())
}
