//! Events about reminders.

#![expect(missing_docs, reason = "a field that is an id is documented by its type")]

use faceofmind_base::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::DomainEvent;
use crate::{ReminderId, UserId};

/// What happened to a reminder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum ReminderEvent {
    /// A reminder became due.
    #[serde(rename = "faceofmind.v1.reminder.due")]
    Due {
        /// The reminder's user.
        user_id: UserId,
        reminder_id: ReminderId,
        /// When it became due.
        due_at: Timestamp,
    },
}

impl DomainEvent for ReminderEvent {
    fn user_id(&self) -> UserId {
        let Self::Due { user_id, .. } = *self;
        user_id
    }

    fn aggregate(&self) -> String {
        let Self::Due { reminder_id, .. } = self;
        format!("reminder/{reminder_id}")
    }
}
