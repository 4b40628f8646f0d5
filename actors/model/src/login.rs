//! Log-ins: signed-in devices.

use faceofmind_base::id;

id! {
    /// The key of a log-in: the claim `sid` in its tokens.
    LoginId
}
