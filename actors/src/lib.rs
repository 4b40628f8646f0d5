//! The rooms: one supervised actor each, with all that it owns.

pub mod client;
pub mod hasher;
pub mod idempotency;
mod keyed_hash;
pub mod limits;
pub mod logins;
pub mod mailer;
pub mod nats;
pub mod otp;
pub mod publisher;
mod redis_server;
pub mod schema;
pub mod session_tracker;
pub mod user_registry;

#[cfg(test)]
mod testing;
