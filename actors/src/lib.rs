//! The rooms: one supervised actor each, with all that it owns.

pub mod logins;
pub mod session_tracker;
pub mod user_registry;
