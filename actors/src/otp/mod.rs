//! One-time codes.

pub mod code;

pub use code::OtpCode;
