//! The actor: requests in progress, and what runs periodically.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use faceofmind_platform::Platform;
use faceofmind_runtime::{BackgroundTask, ChildSpec, Handle, Service, ServiceActor, answer_with_service};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    CreateReminder, DeleteReminder, DispatchCounts, FindSentReminder, GetReminder, ListReminders, UpdateReminder,
    service::ReminderService,
};

const DISPATCH_INTERVAL: Duration = Duration::from_secs(1);
const BACKFILL_INTERVAL: Duration = Duration::from_secs(3600);

/// What is observable beside the requests.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    pub dispatched: DispatchCounts,
}

pub type ReminderScheduler = ServiceActor<ReminderService>;

impl ReminderService {
    /// Returns the actor's handle, and the actor to supervise.
    pub fn actor(deps: Platform) -> (Handle<ReminderScheduler>, ChildSpec) {
        ReminderScheduler::new(Arc::new(Self::new(deps)))
    }
}

impl Service for ReminderService {
    const NAME: &str = "reminders";
    const CAPACITY: usize = 1024;
    type Status = Status;

    fn status(&self) -> Status {
        Status { dispatched: *self.dispatched.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// The dispatch, and the schedules of reminders that an earlier program wrote.
    fn background_tasks(self: &Arc<Self>) -> Vec<BackgroundTask> {
        let (time, own) = (|| (self.deps.clock.clone(), self.deps.rng.clone()), || Arc::clone(self));
        vec![
            BackgroundTask::spawn("reminder_dispatch", DISPATCH_INTERVAL, time(), own(), |service| async move {
                service.dispatch_due().await
            }),
            BackgroundTask::spawn("reminder_backfill", BACKFILL_INTERVAL, time(), own(), |service| async move {
                service.backfill().await
            }),
        ]
    }
}

answer_with_service! {
    ReminderService;
    CreateReminder => create,
    UpdateReminder => update,
    DeleteReminder => delete,
    GetReminder => get,
    ListReminders => list,
    FindSentReminder => find_sent,
}
