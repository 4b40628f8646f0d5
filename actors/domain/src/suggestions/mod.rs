//! Suggestions for an emotion: five lines, an acknowledgment and four tips.
//!
//! The first that applies writes them:
//!
//! 1. the hotlines, when the person mentions suicide or self-harm, whatever is up or down ([`crisis`]);
//! 2. an endpoint, where one is set, within a deadline, a maximum of concurrent calls and a circuit breaker;
//! 3. the built-in catalogue.
//!
//! [`Suggestions`] does the first and the last itself, so that a suggestion never depends on the actor, which only calls the endpoint.

pub mod crisis;

mod actor;
mod breaker;
mod catalogue;
mod completion;
mod endpoint;
mod look_alikes;
mod pattern;
mod suggestion;
mod text;

pub use actor::{EndpointStatus, Settings, Status, SuggestionEngine};
pub use breaker::{BreakerSettings, BreakerState};
pub use endpoint::{Endpoint, EndpointSettings};
pub use suggestion::{Advice, SuggestionCounts, SuggestionRequest, Suggestions};

/// An acknowledgment and four tips.
const LINES: usize = 5;

#[cfg(test)]
mod tests;
