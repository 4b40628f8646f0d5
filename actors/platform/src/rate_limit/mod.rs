//! Rate limits, counted where all nodes see them.

mod actor;
mod error;
mod legacy;
mod messages;
mod round_trip;
mod store;
mod window;

pub use actor::{Deps, RateLimiter, Settings, Status};
pub use error::RateLimitError;
pub use legacy::{LimitError, LimiterSettings, Limits, Taken, Use};
pub use messages::{Acquire, RateLimitKey, Refund};
pub use store::{Counters, Reservation};
pub use window::Limit;

#[cfg(test)]
mod tests;
