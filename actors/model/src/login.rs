//! Logins: signed-in devices.

use faceofmind_base::id;

id! {
    /// The key of a login: the claim `sid` in its tokens.
    LoginId
}
