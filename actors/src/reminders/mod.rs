//! What people want to be reminded of.

mod reminder;
pub use reminder::ReminderId;
