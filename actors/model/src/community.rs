//! Posts and comments.

use faceofmind_base::id;

id! {
    /// The key of a post.
    PostId
}
id! {
    /// The key of a comment.
    CommentId
}
