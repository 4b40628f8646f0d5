//! Reminders, and their dispatch when they are due.
//!
//! A reminder has a date and is due at 08:00 of it in the user's time zone, else in the service's default. That time is stored beside the
//! reminder and moves with the user to another zone ([`rezone`]). Every node looks for due reminders every second. One transaction records
//! the event `reminder.due`, queues the mail and marks the reminder as sent, so each is sent once, whatever the number of nodes and crashes.
//!
//! | case | what happens |
//! |---|---|
//! | written for today or later | sent, also when 08:00 of today is past |
//! | written for a past day | never sent, also when the user moves to where that day is today |
//! | due for more than 24 hours, as after an outage or a move | skipped |
//! | the account is not active when it becomes due | skipped |
//! | another date, or switched off and on | sent again; another title or description does not have this effect |
//! | written by an earlier program, without a schedule | scheduled at the start, as if written then |

mod actor;
mod backfill;
mod dispatch;
mod export;
mod messages;
mod reminder;
mod service;
mod store;

pub use actor::{ReminderScheduler, Status};
pub use dispatch::DispatchCounts;
pub use export::export;
pub use faceofmind_model::ReminderId;
pub use messages::{
    CreateReminder, DeleteReminder, FindSentReminder, GetReminder, ListReminders, ReminderError, UpdateReminder,
};
pub use reminder::{MAX_REMINDERS, NewReminder, Reminder, ReminderChange};
pub use service::{ReminderService, rezone};
pub use store::erase;

#[cfg(test)]
mod tests;
