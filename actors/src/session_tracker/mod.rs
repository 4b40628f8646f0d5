//! Open sessions.

use faceofmind_kit::id;

id! {
    /// A session's key.
    SessionId
}
