//! What the reminder scheduler can be asked. Messages have no `Debug`, because they hold what a user wrote.

use faceofmind_db::StoreError;
use faceofmind_model::{Page, PageRequest, ReminderId, UserId};
use faceofmind_platform::idempotency::{IdempotencyKey, StoredResponse};
use faceofmind_runtime::{AskError, messages};

use super::{NewReminder, Reminder, ReminderChange};

/// Creates a reminder. [`ReminderError::NotFound`] when the user does not exist.
pub struct CreateReminder {
    pub user: UserId,
    pub new: NewReminder,
    /// A request with a key is carried out once. Repeated, it gets the stored response.
    pub key: Option<IdempotencyKey>,
    /// Makes the response in the transaction. The same bytes are stored and sent.
    pub respond: fn(Reminder) -> StoredResponse,
}

/// Changes a reminder. With another date, or switched on again, it is sent again.
pub struct UpdateReminder {
    pub user: UserId,
    pub id: ReminderId,
    pub change: ReminderChange,
}

/// Deletes a reminder.
pub struct DeleteReminder {
    pub user: UserId,
    pub id: ReminderId,
}

/// Reads one reminder.
pub struct GetReminder {
    pub user: UserId,
    pub id: ReminderId,
}

/// Lists the reminders of the reader, newest first.
pub struct ListReminders(pub PageRequest<ReminderId>);

/// Reads a sent reminder for its mail. None when it is deleted, switched off or scheduled for another time.
pub struct FindSentReminder(pub ReminderId);

messages! {
    Error = ReminderError;
    CreateReminder => StoredResponse;
    UpdateReminder => Reminder;
    DeleteReminder => ();
    GetReminder => Reminder;
    ListReminders => Page<Reminder, ReminderId>;
    FindSentReminder => Option<Reminder>;
}

/// Why a request about reminders failed.
#[derive(Debug, thiserror::Error)]
pub enum ReminderError {
    /// Also for a reminder of another user.
    #[error("reminder not found")]
    NotFound,
    #[error("idempotency key was used with another body")]
    KeyReused,
    /// The user has [`MAX_REMINDERS`](super::MAX_REMINDERS).
    #[error("the user has the maximum number of reminders")]
    TooMany,
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
