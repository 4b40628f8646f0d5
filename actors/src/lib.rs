//! The rooms: one supervised actor each, with all that it owns.

pub mod hasher;
pub mod idempotency;
pub mod logins;
pub mod nats;
pub mod publisher;
pub mod schema;
pub mod session_tracker;
pub mod user_registry;

#[cfg(test)]
mod testing;
