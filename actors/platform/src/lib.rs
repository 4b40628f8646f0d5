//! What every domain module builds on.
//!
//! | module | what it owns |
//! |---|---|
//! | [`outbox`] | events: recorded with the change, published in order, streamed |
//! | [`mail`] | the queue of mails, their text, and the way out |
//! | [`otp`] | one-time codes |
//! | [`password_hasher`] | CPU for password hashing |
//! | [`rate_limit`] | rate limits: counters per window |
//! | [`idempotency`] | stored responses of an `Idempotency-Key` |
//! | [`login_store`], [`auth_cache`] | the table of logins; who is signed in, without I/O |
//! | [`encryption`], [`keyed_hash`] | texts and keys at rest |
//! | [`caller`] | whose share of what can run out a request uses |
//! | [`nats`], [`redis`] | connections to other servers |
//!
//! [`Platform`] is all of it, wired.

pub mod auth_cache;
pub mod caller;
mod dependency;
pub mod encryption;
pub mod idempotency;
pub mod keyed_hash;
pub mod login_store;
pub mod mail;
pub mod nats;
pub mod otp;
pub mod outbox;
pub mod password_hasher;
mod platform;
pub mod rate_limit;
pub mod redis;

pub use dependency::DependencyError;
pub use platform::{Platform, Resources, Settings};

#[cfg(any(test, feature = "test-hooks"))]
pub mod testing;
