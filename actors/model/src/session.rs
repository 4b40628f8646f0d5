//! Sessions and what is recorded in them.

use faceofmind_base::id;

id! {
    /// The key of a session.
    SessionId
}
id! {
    /// The key of a detection.
    DetectionId
}
id! {
    /// The key of a session's feedback.
    FeedbackId
}
