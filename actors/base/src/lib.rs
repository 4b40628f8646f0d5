//! Time, randomness and column types: what every other crate stands on.
//!
//! | piece | what it gives |
//! |---|---|
//! | [`Clock`], [`Rng`] | time and randomness, injected so that tests can set them |
//! | [`Timestamp`], [`CivilDate`], [`id!`] | column types that PostgreSQL and SQLite read and write alike |
//! | [`Backoff`] | delays between retries |
//! | [`WriteGate`] | whether the write of a request has begun |

#![warn(missing_docs)]

pub mod backoff;
pub mod civil_date;
pub mod clock;
pub mod id;
pub mod rng;
pub mod timestamp;
pub mod write_gate;

pub use backoff::Backoff;
pub use civil_date::CivilDate;
pub use clock::Clock;
pub use rng::Rng;
pub use timestamp::Timestamp;
pub use write_gate::{WriteGate, begin_write};
