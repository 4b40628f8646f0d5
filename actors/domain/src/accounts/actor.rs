//! The actor: requests in progress, and what runs periodically.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use faceofmind_base::Timestamp;
use faceofmind_platform::Platform;
use faceofmind_runtime::{
    BackgroundTask, ChildSpec, Handle, Handler, ReplyTo, Service, ServiceActor, answer_with_service,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    AccountHooks, ChangePassword, ConfirmEmailChange, CreateAdmin, DeleteUser, GetCredentials, GetMailContext, GetUser,
    ListUsers, Register, RenewPasswordHash, RequestEmailChange, RequestPasswordReset, ResendVerificationCode,
    ResetPassword, UpdateUser, VerifyEmail,
    service::{AccountService, Settings},
    user_counts,
};

/// The actor's name in logs, metrics and status.
pub const NAME: &str = "user_registry";
/// The background task that goes on with erasures.
const ERASURE: &str = "erasure";
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);
/// Erasures that another node or an earlier run has left unfinished are looked for this often.
const ERASURE_INTERVAL: Duration = Duration::from_secs(60);
/// The period in which the database file is asked whether it is to be rewritten.
const VACUUM_INTERVAL: Duration = Duration::from_secs(4);
/// Changes of the number of users are added up this often, so that a total reads few of them.
const COUNT_INTERVAL: Duration = Duration::from_secs(10);

/// What is observable beside the requests.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// When the oldest erasure whose rows are not all removed was requested. Null when there is none.
    pub oldest_erasure: Option<Timestamp>,
}

/// The actor. It carries a request through although its caller has gone: a code must not be consumed for nothing.
pub type UserRegistry = ServiceActor<AccountService>;

impl AccountService {
    /// Returns the actor's handle, and the actor to supervise.
    pub fn actor(settings: Settings, hooks: AccountHooks, deps: Platform) -> (Handle<UserRegistry>, ChildSpec) {
        UserRegistry::new(Arc::new(Self { settings, hooks, deps, oldest_erasure: Mutex::default() }))
    }
}

impl Service for AccountService {
    const NAME: &str = NAME;
    const CAPACITY: usize = 4096;
    type Status = Status;

    fn status(&self) -> Status {
        Status { oldest_erasure: self.oldest_erasure() }
    }

    fn background_tasks(self: &Arc<Self>) -> Vec<BackgroundTask> {
        let (time, own) = (|| (self.deps.clock.clone(), self.deps.rng.clone()), || Arc::clone(self));
        vec![
            BackgroundTask::spawn(ERASURE, ERASURE_INTERVAL, time(), own(), |service| async move {
                service.continue_erasures().await
            }),
            BackgroundTask::spawn("account sweep", SWEEP_INTERVAL, time(), own(), |service| async move {
                service.sweep().await
            }),
            BackgroundTask::spawn("vacuum after erasure", VACUUM_INTERVAL, time(), own(), |service| async move {
                service.vacuum_if_due().await
            }),
            BackgroundTask::spawn("user counting", COUNT_INTERVAL, time(), self.deps.db.clone(), |db| async move {
                user_counts::fold_changes(&db).await
            }),
        ]
    }
}

impl Handler<DeleteUser> for UserRegistry {
    /// Replies after the first transaction. The rows that remain are removed at once, in the background.
    fn handle(&mut self, message: DeleteUser, reply: ReplyTo<DeleteUser>) {
        let erasure = self.background_task(ERASURE).map(BackgroundTask::trigger);
        self.run(reply, |service| async move {
            let deleted = service.delete_user(message).await;
            erasure.iter().for_each(|erasure| erasure.notify_one());
            deleted
        });
    }
}

answer_with_service! {
    AccountService;
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
