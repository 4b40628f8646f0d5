//! Reminders.

use faceofmind_base::id;

id! {
    /// The key of a reminder.
    ReminderId
}
