//! The actor: requests in progress, and what runs periodically.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use faceofmind_base::Timestamp;
use faceofmind_platform::Platform;
use faceofmind_runtime::{
    Actor, BackgroundTask, BackgroundTaskStatus, ChildSpec, Handle, Handler, ReplyTo, TaskSet, answer_with_service,
};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Notify;

use super::{
    AccountHooks, ChangePassword, ConfirmEmailChange, CreateAdmin, DeleteUser, GetCredentials, GetMailContext, GetUser,
    ListUsers, Register, RenewPasswordHash, RequestEmailChange, RequestPasswordReset, ResendVerificationCode,
    ResetPassword, UpdateUser, VerifyEmail,
    service::{AccountService, Settings},
};

/// The actor's name in logs, metrics and status.
pub const NAME: &str = "user_registry";
/// Requests queued or in progress.
const CAPACITY: usize = 4096;
const DEADLINE: Duration = Duration::from_secs(10);
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);
/// Erasures that another node or an earlier run has left unfinished are looked for this often.
const ERASURE_INTERVAL: Duration = Duration::from_secs(60);
/// The pause after a rewrite of the database file, in which other writes proceed.
const VACUUM_INTERVAL: Duration = Duration::from_secs(10);

/// The actor's observable state.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Requests in progress.
    pub in_progress: usize,
    /// Requests that panicked since the actor started.
    pub panics: u64,
    pub sweep: BackgroundTaskStatus,
    pub erasure: BackgroundTaskStatus,
    /// When the oldest erasure whose rows are not all removed was requested. Null when there is none.
    pub oldest_erasure: Option<Timestamp>,
    pub vacuum: BackgroundTaskStatus,
}

/// The actor.
pub struct UserRegistry {
    service: Arc<AccountService>,
    /// A request is carried through although its caller has gone: a code must not be consumed for nothing.
    tasks: TaskSet,
    sweep: BackgroundTask,
    erasure: BackgroundTask,
    vacuum: BackgroundTask,
}

impl UserRegistry {
    /// Returns the handle, and the actor to supervise.
    pub fn new(settings: Settings, hooks: AccountHooks, deps: Platform) -> (Handle<Self>, ChildSpec) {
        let handle = Handle::new(NAME, CAPACITY, DEADLINE);
        let service = Arc::new(AccountService {
            settings,
            hooks,
            deps,
            vacuum_requested: Notify::new(),
            oldest_erasure: Mutex::default(),
        });
        let child = ChildSpec::ready(handle.clone(), move || Self::start(&service));
        (handle, child)
    }

    fn start(service: &Arc<AccountService>) -> Self {
        let time = || (service.deps.clock.clone(), service.deps.rng.clone());
        let own = || Arc::clone(service);
        let sweep = BackgroundTask::spawn("account sweep", SWEEP_INTERVAL, time(), own(), |service| async move {
            service.sweep().await
        });
        let erasure = BackgroundTask::spawn("erasure", ERASURE_INTERVAL, time(), own(), |service| async move {
            service.continue_erasures().await
        });
        let vacuum =
            BackgroundTask::spawn("vacuum after erasure", VACUUM_INTERVAL, time(), own(), |service| async move {
                service.vacuum_when_requested().await
            });
        Self { service: Arc::clone(service), tasks: TaskSet::default(), sweep, erasure, vacuum }
    }
}

impl Actor for UserRegistry {
    type Status = Status;

    fn status(&self) -> Status {
        Status {
            in_progress: self.tasks.len(),
            panics: self.tasks.panics(),
            sweep: self.sweep.status(),
            erasure: self.erasure.status(),
            oldest_erasure: self.service.oldest_erasure(),
            vacuum: self.vacuum.status(),
        }
    }

    async fn on_stop(&mut self) {
        self.tasks.join_all().await;
    }
}

impl Handler<DeleteUser> for UserRegistry {
    /// Replies after the first transaction. The rows that remain are removed at once, in the background.
    fn handle(&mut self, message: DeleteUser, reply: ReplyTo<DeleteUser>) {
        let (service, erasure) = (Arc::clone(&self.service), self.erasure.trigger());
        self.tasks.spawn_reply(reply, async move {
            let deleted = service.delete_user(message).await;
            erasure.notify_one();
            deleted
        });
    }
}

answer_with_service! {
    UserRegistry;
    GetUser => get_user,
    GetCredentials => get_credentials,
    GetMailContext => get_mail_context,
    ListUsers => list_users,
    Register => register,
    VerifyEmail => verify_email,
    ResendVerificationCode => resend_verification_code,
    RequestPasswordReset => request_password_reset,
    ResetPassword => reset_password,
    ChangePassword => change_password,
    RenewPasswordHash => renew_password_hash,
    RequestEmailChange => request_email_change,
    ConfirmEmailChange => confirm_email_change,
    UpdateUser => update_user,
    CreateAdmin => create_admin,
}
