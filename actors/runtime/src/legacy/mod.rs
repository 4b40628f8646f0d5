//! The enum-of-messages actors, until the last module has typed messages.
#![allow(missing_docs)]
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
