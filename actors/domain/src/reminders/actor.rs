//! The actor: requests in progress, and what runs periodically.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use faceofmind_platform::Platform;
use faceofmind_runtime::{
    Actor, BackgroundTask, BackgroundTaskStatus, ChildSpec, Handle, TaskSet, answer_with_service,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    CreateReminder, DeleteReminder, DispatchCounts, FindSentReminder, GetReminder, ListReminders, UpdateReminder,
    service::ReminderService,
};

const NAME: &str = "reminders";
/// Requests queued or in progress.
const CAPACITY: usize = 1024;
const DEADLINE: Duration = Duration::from_secs(10);
const DISPATCH_INTERVAL: Duration = Duration::from_secs(1);
const BACKFILL_INTERVAL: Duration = Duration::from_secs(3600);

/// The actor's observable state.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Requests in progress.
    pub in_progress: usize,
    /// Requests that panicked since the actor started.
    pub panics: u64,
    pub dispatched: DispatchCounts,
    pub dispatch: BackgroundTaskStatus,
    /// Schedules reminders that an earlier program wrote.
    pub backfill: BackgroundTaskStatus,
}

/// The actor.
pub struct ReminderScheduler {
    service: Arc<ReminderService>,
    tasks: TaskSet,
    dispatch: BackgroundTask,
    backfill: BackgroundTask,
}

impl ReminderScheduler {
    /// Returns the handle, and the actor to supervise.
    pub fn new(deps: Platform) -> (Handle<Self>, ChildSpec) {
        Self::with_service(Arc::new(ReminderService::new(deps)))
    }

    pub(super) fn with_service(service: Arc<ReminderService>) -> (Handle<Self>, ChildSpec) {
        let handle = Handle::new(NAME, CAPACITY, DEADLINE);
        let child = ChildSpec::ready(handle.clone(), move || Self::start(&service));
        (handle, child)
    }

    fn start(service: &Arc<ReminderService>) -> Self {
        let time = || (service.deps.clock.clone(), service.deps.rng.clone());
        let own = || Arc::clone(service);
        let dispatch =
            BackgroundTask::spawn("reminder_dispatch", DISPATCH_INTERVAL, time(), own(), |service| async move {
                service.dispatch_due().await
            });
        let backfill =
            BackgroundTask::spawn("reminder_backfill", BACKFILL_INTERVAL, time(), own(), |service| async move {
                service.backfill().await
            });
        Self { service: Arc::clone(service), tasks: TaskSet::default(), dispatch, backfill }
    }
}

impl Actor for ReminderScheduler {
    type Status = Status;

    fn status(&self) -> Status {
        Status {
            in_progress: self.tasks.len(),
            panics: self.tasks.panics(),
            dispatched: *self.service.dispatched.lock().unwrap_or_else(PoisonError::into_inner),
            dispatch: self.dispatch.status(),
            backfill: self.backfill.status(),
        }
    }

    async fn on_stop(&mut self) {
        self.tasks.join_all().await;
    }
}

answer_with_service! {
    ReminderScheduler;
    CreateReminder => create,
    UpdateReminder => update,
    DeleteReminder => delete,
    GetReminder => get,
    ListReminders => list,
    FindSentReminder => find_sent,
}
