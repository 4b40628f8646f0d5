//! What a reminder is. No I/O.

use faceofmind_kit::id;

id! {
    /// A reminder's key.
    ReminderId
}
