//! The FaceofMind User API: turns HTTP requests into messages to actors.

pub mod app;
pub mod cli;
pub mod http;
mod logging;
pub mod settings;
