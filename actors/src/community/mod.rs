//! What people write for each other.

mod post;
pub use post::{CommentId, PostId};
