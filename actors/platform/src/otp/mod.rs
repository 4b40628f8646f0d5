//! One-time codes. A code is issued when its mail is about to be sent, is stored only as a keyed hash, and can be consumed once.
//!
//! Requests about different addresses run concurrently. What must be atomic is one transaction or one Redis script in the store.

mod actor;
mod limits;
mod messages;
mod quota;
mod service;
mod store;

pub use actor::{Deps, OtpIssuer, Settings, Status};
pub use messages::{
    ConsumeCode, Guesser, IssueCode, IssuedCode, OnMatch, OtpError, Purpose, RevokeCodes, UnconsumeCode, VerifiedCode,
    VerifyCode,
};
pub use quota::IssueQuota;
pub use service::OtpService;
pub use store::CodeStore;

#[cfg(test)]
mod tests;
