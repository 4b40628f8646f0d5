//! The enum-of-messages actors, until the last module has typed messages.
#![expect(missing_docs, reason = "these types go with the last module that uses them")]
mod actor;
mod address;
mod child;
mod errands;
mod failure;
mod panics;
pub use actor::{Actor, Permit};
pub use address::{Address, Reply};
pub use errands::Errands;
pub use failure::Failure;
