//! The FaceofMind User API: HTTP in, messages to actors out.

pub mod settings;
