//! What a post and a comment are. No I/O.

use faceofmind_kit::id;

id! {
    /// A post's key.
    PostId
}
id! {
    /// The key of a comment under a post.
    CommentId
}
