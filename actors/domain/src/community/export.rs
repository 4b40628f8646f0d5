//! What a user's export tells of what they wrote for others. What others wrote under their posts is the others'.

use faceofmind_base::Timestamp;
use faceofmind_db::Snapshot;
use serde::Serialize;
use sqlx::FromRow;

use super::{CommentId, PostId};
use faceofmind_db::export::{ExportAborted, JsonWriter, write_table};
use faceofmind_model::user::UserId;

const POSTS: &str = "SELECT id, content, created_at, updated_at FROM community_posts \
    WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";
const COMMENTS: &str = "SELECT id, post_id, content, created_at, updated_at FROM community_comments \
    WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";

#[derive(FromRow, Serialize)]
struct Written {
    id: PostId,
    content: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(FromRow, Serialize)]
struct Commented {
    id: CommentId,
    post_id: PostId,
    content: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// Writes the user's posts and their comments, under whosever posts: `community_posts`, `community_comments`.
///
/// # Errors
/// [`ExportAborted`].
pub async fn export(snapshot: &mut Snapshot, user: UserId, document: &mut JsonWriter) -> Result<(), ExportAborted> {
    write_table(snapshot, document, "community_posts", POSTS, user, |post: &Written| post.id.0).await?;
    write_table(snapshot, document, "community_comments", COMMENTS, user, |comment: &Commented| comment.id.0).await
}
