//! The rooms: one supervised actor each, with all that it owns.

pub mod limits;
pub mod logins;
pub mod otp;
pub mod redis_server;
pub mod schema;
pub mod session_tracker;
pub mod user_registry;

mod keyed_hash;
#[cfg(test)]
mod testing;
