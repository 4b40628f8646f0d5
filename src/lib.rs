//! The FaceofMind User API: the program around the actors, and its HTTP edge.

pub mod http;
