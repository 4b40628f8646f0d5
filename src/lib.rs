//! The FaceofMind User API: HTTP in, messages to actors out.

pub mod app;
pub mod cli;
pub mod http;
pub mod settings;
