//! The modules: their actors, and what must happen to each of them when a user is erased or exported, when a key is rotated, and when rows
//! lapse.
//!
//! To add a module, start its actor in `Modules::new` and add an entry to `MODULES`.

use faceofmind_db::{Database, StoreError, Tx};
use faceofmind_domain::{
    accounts::{self, AccountHooks, AccountService, ErasureSlice, HookFuture, UserRegistry},
    community::{self, Community, CommunityService},
    logins::{self, Authenticator, LoginRegistry, LoginService},
    reminders::{self, ReminderScheduler, ReminderService},
    sessions::{self, SessionTracker},
    suggestions::{self, Endpoint, SuggestionEngine},
};
use faceofmind_platform::{Platform, encryption::RotationPass, idempotency, login_store, mail, outbox};
use faceofmind_runtime::{ChildSpec, Handle};
use futures_util::future::BoxFuture;

use crate::{
    exporter::{self, Exporter, ModuleExport},
    sweeper::{Sweep, Sweeper},
};

/// The limits of the modules.
pub struct Settings {
    pub accounts: accounts::Settings,
    pub logins: logins::Settings,
    pub community: community::Settings,
    /// The model that writes suggestions. Without it they come from the catalogue.
    pub endpoint: Option<Endpoint>,
}

/// The actors of the modules.
#[derive(Clone)]
pub struct Modules {
    pub accounts: Handle<UserRegistry>,
    pub logins: Handle<LoginRegistry>,
    /// Checks access tokens.
    pub authenticator: Authenticator,
    pub sessions: Handle<SessionTracker>,
    pub community: Handle<Community>,
    pub reminders: Handle<ReminderScheduler>,
    pub exporter: Handle<Exporter>,
}

impl Modules {
    /// Returns the handles, and the actors to supervise, in the order of their start.
    pub(crate) fn new(settings: Settings, platform: &Platform) -> (Self, Vec<ChildSpec>) {
        let deps = || platform.clone();
        let (accounts, registry) = AccountService::actor(settings.accounts, ACCOUNT_HOOKS, deps());
        let (logins, authenticator, logging_in) = LoginService::actor(settings.logins, accounts.clone(), deps());
        let time = (platform.clock.clone(), platform.rng.clone());
        let (_, suggestions, suggesting) =
            SuggestionEngine::new(suggestions::Settings::default(), settings.endpoint, time);
        let (sessions, tracking) = SessionTracker::new(sessions::Settings::default(), suggestions, deps());
        let (community, sharing) = CommunityService::actor(settings.community, deps());
        let (reminders, reminding) = ReminderService::actor(deps());
        let (exporter, exporting) = Exporter::new(exporter::Settings::default(), exports(), deps());
        let sweeping = Sweeper::child(MODULES.into_iter().filter_map(|module| module.sweep).collect(), deps());
        let children = vec![registry, logging_in, suggesting, tracking, sharing, reminding, exporting, sweeping];
        (Self { accounts, logins, authenticator, sessions, community, reminders, exporter }, children)
    }
}

/// One module that holds data of users.
pub(crate) struct Module {
    /// Removes what the module holds of a user, and returns whether rows may remain for another transaction.
    pub(crate) erase: for<'a> fn(&'a mut Tx, ErasureSlice<'a>) -> HookFuture<'a, bool>,
    /// Writes what the module holds of a user into an export, where it does not repeat what another module writes.
    pub(crate) export: Option<ModuleExport>,
    /// The module's encrypted texts, and how they are re-encrypted with the first key.
    pub(crate) reencrypt: Option<(&'static str, Reencrypt)>,
    /// The rows that lapse, and how they are deleted.
    pub(crate) sweep: Option<(&'static str, Sweep)>,
}

/// A module without data of users.
const NOTHING: Module =
    Module { erase: |_, _| Box::pin(async { Ok(false) }), export: None, reencrypt: None, sweep: None };

/// Re-encrypts what the module holds.
pub(crate) type Reencrypt = for<'a> fn(&'a Database, &'a mut RotationPass<'_>) -> BoxFuture<'a, Result<(), StoreError>>;

/// Every module that holds data of users. An export lists them in this order, and an erasure deletes in this order: mails and events come
/// last, because what the modules before them are sending or recording is waited for by their locks. Sessions and events are removed in
/// slices: a device that streams detections records many. The other modules remove everything in the first transaction; what other users
/// can read, posts and comments, is then gone at once.
pub(crate) const MODULES: [Module; 8] = [
    Module { export: Some(|of| Box::pin(accounts::export(of.snapshot, of.user, of.writer))), ..NOTHING },
    Module {
        erase: |tx, slice| whole(login_store::erase(tx, slice.user)),
        export: Some(|of| Box::pin(login_store::export(of.snapshot, of.user, of.writer))),
        sweep: Some(("login sweep", |tx, now| Box::pin(login_store::sweep(tx, now)))),
        ..NOTHING
    },
    Module {
        erase: |tx, slice| Box::pin(sessions::erase(tx, slice.user, slice.max_rows)),
        export: Some(|of| Box::pin(sessions::export(of.snapshot, of.keyring, of.user, of.writer))),
        reencrypt: Some(("voice texts", |db, pass| Box::pin(sessions::reencrypt(db, pass)))),
        ..NOTHING
    },
    Module {
        erase: |tx, slice| whole(community::erase(tx, slice.user)),
        export: Some(|of| Box::pin(community::export(of.snapshot, of.user, of.writer))),
        ..NOTHING
    },
    Module {
        erase: |tx, slice| whole(reminders::erase(tx, slice.user)),
        export: Some(|of| Box::pin(reminders::export(of.snapshot, of.user, of.writer))),
        ..NOTHING
    },
    Module { erase: |tx, slice| whole(erase_mail(tx, slice)), ..NOTHING },
    Module {
        erase: |tx, slice| whole(idempotency::erase(tx, slice.user)),
        reencrypt: Some(("stored responses", |db, pass| Box::pin(idempotency::reencrypt(db, pass)))),
        sweep: Some(("idempotency key sweep", |tx, now| Box::pin(idempotency::sweep(tx, now)))),
        ..NOTHING
    },
    Module { erase: |tx, slice| Box::pin(outbox::erase(tx, slice.user, slice.max_rows)), ..NOTHING },
];

/// What the modules write into an export, in the order of the document.
pub fn exports() -> Vec<ModuleExport> {
    MODULES.into_iter().filter_map(|module| module.export).collect()
}

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
