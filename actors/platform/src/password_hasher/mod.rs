//! CPU for password hashing: as many workers as cores, a bounded queue, and memory that is taken at first use and released after a minute
//! without work. Only logins wait here when many arrive, and no other request.
//!
//! New passwords are hashed with Argon2id. The hashes of the programs that a database may be taken over from are read too.

mod actor;
mod argon;
mod hash;
mod legacy;
mod messages;
mod strength;
mod verify;

pub use actor::{Deps, PasswordHasher, Settings, Status, TIME_BUCKETS};
pub use argon::Cost;
pub use hash::{HashFault, HashKind, PasswordHash};
pub use messages::{HashNewPassword, HashPassword, NewPasswordError, VerifyPassword};
pub use verify::VerifyOutcome;
