//! Who exists, and who may log in.

pub mod user;

pub use user::{ClaimId, Email, Role, Status, User, UserId};
