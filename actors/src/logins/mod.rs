//! Log-ins: refresh families, and what makes a bearer token good.

use faceofmind_kit::id;

id! {
    /// The key of a log-in, `sid` in its tokens.
    LoginId
}
