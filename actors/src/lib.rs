//! The rooms of the FaceofMind User API: one actor each, with all that it owns.

pub mod mailer;
pub mod otp;
