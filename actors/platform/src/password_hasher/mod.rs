//! CPU for password hashing: as many workers as cores, a bounded queue, and memory that is taken at first use and released after a minute
//! without work. Only logins wait here when many arrive, and no other request.

mod actor;
mod argon;
mod messages;
mod strength;

pub use actor::{Deps, PasswordHasher, Settings, Status, TIME_BUCKETS};
pub use argon::{Cost, PasswordHash, VerifyOutcome};
pub use messages::{HashNewPassword, HashPassword, NewPasswordError, VerifyPassword};
