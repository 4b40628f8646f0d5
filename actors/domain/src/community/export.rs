//! A user's posts and comments in their data export.

use faceofmind_base::Timestamp;
use faceofmind_db::{
    Snapshot,
    export::{ExportAborted, JsonWriter, write_table},
};
use faceofmind_model::{CommentId, PostId, UserId};
use serde::Serialize;
use sqlx::FromRow;

const POSTS: &str = "SELECT id, content, created_at, updated_at FROM community_posts \
    WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";
const COMMENTS: &str = "SELECT id, post_id, content, created_at, updated_at FROM community_comments \
    WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";

#[derive(FromRow, Serialize)]
struct ExportedPost {
    id: PostId,
    content: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(FromRow, Serialize)]
struct ExportedComment {
    id: CommentId,
    post_id: PostId,
    content: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// Writes `community_posts` and `community_comments`: the user's posts, without the comments of others, and the user's comments under
/// all posts.
pub async fn export(snapshot: &mut Snapshot, user: UserId, writer: &mut JsonWriter) -> Result<(), ExportAborted> {
    write_table(snapshot, writer, "community_posts", POSTS, user, |post: &ExportedPost| post.id.0).await?;
    write_table(snapshot, writer, "community_comments", COMMENTS, user, |comment: &ExportedComment| comment.id.0).await
}
