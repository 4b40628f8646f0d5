//! Posts.

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, Tx, with_conn};
use faceofmind_runtime::legacy::Failure;

use crate::community::{Draft, Page, Part, Post};
use faceofmind_model::community::PostId;
use faceofmind_model::user::UserId;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, p.user_id, p.content, p.created_at, p.updated_at, ",
            "(SELECT count(*) FROM community_comments c WHERE c.post_id = p.id) AS comment_count ",
            "FROM community_posts p ",
            $rest
        )
    };
}

const PAGE: &str = select!("WHERE p.id < $1 ORDER BY p.id DESC LIMIT $2 OFFSET $3");
const FIND: &str = select!("WHERE p.id = $1");
const AUTHOR: &str = "SELECT user_id FROM community_posts WHERE id = $1";
const LOCK: &str = "SELECT user_id FROM community_posts WHERE id = $1 FOR UPDATE";
const INSERT: &str =
    "INSERT INTO community_posts (user_id, content, created_at, updated_at) VALUES ($1, $2, $3, $3) RETURNING id";
const EDIT: &str = "UPDATE community_posts SET content = $2, updated_at = $3 WHERE id = $1 AND content <> $2";
const LOCK_COMMENTS: &str = "SELECT id FROM community_comments WHERE post_id = $1 ORDER BY id FOR UPDATE";
/// Leaves first: legacy databases have no cascades.
const DELETE: [&str; 2] =
    ["DELETE FROM community_comments WHERE post_id = $1", "DELETE FROM community_posts WHERE id = $1"];

/// Everyone's, newest first.
pub(in crate::community) async fn page(
    connection: Connection<'_>,
    part: Part<PostId>,
) -> Result<Page<Post, PostId>, Failure> {
    let rows = with_conn!(connection, c => sqlx::query_as(PAGE)
        .bind(part.after.unwrap_or(PostId(i64::MAX))).bind(part.rows()).bind(i64::from(part.skip))
        .fetch_all(c).await)?;
    Ok(part.page(rows, |post: &Post| post.id))
}

pub(in crate::community) async fn find(connection: Connection<'_>, id: PostId) -> Result<Option<Post>, Failure> {
    Ok(with_conn!(connection, c => sqlx::query_as(FIND).bind(id).fetch_optional(c).await)?)
}

/// Locks a post until the transaction ends, and tells its author. SQLite has one writer, who is us.
pub(in crate::community) async fn lock(tx: &mut Tx, id: PostId) -> Result<Option<UserId>, Failure> {
    let sql = if matches!(tx, Tx::Postgres(_)) { LOCK } else { AUTHOR };
    let row: Option<(UserId,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(sql).bind(id).fetch_optional(c).await)?;
    Ok(row.map(|(author,)| author))
}

pub(in crate::community) async fn insert(tx: &mut Tx, draft: &Draft, now: Timestamp) -> Result<Post, Failure> {
    let (id,): (PostId,) = with_conn!(tx.connection(), c => sqlx::query_as(INSERT)
        .bind(draft.user).bind(&draft.content).bind(now)
        .fetch_one(c).await)?;
    let (user_id, content) = (draft.user, draft.content.clone());
    Ok(Post { id, user_id, content, created_at: now, updated_at: now, comment_count: 0 })
}

/// Changes nothing, not even its time, where the content is the same.
pub(in crate::community) async fn edit(tx: &mut Tx, id: PostId, content: &str, now: Timestamp) -> Result<(), Failure> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(EDIT).bind(id).bind(content).bind(now).execute(c).await.map(drop))?)
}

/// Deletes a locked post with its comments.
pub(in crate::community) async fn delete(tx: &mut Tx, id: PostId) -> Result<(), Failure> {
    if let Connection::Postgres(c) = tx.connection() {
        sqlx::query(LOCK_COMMENTS).bind(id).execute(c).await?;
    }
    for sql in DELETE {
        with_conn!(tx.connection(), c => sqlx::query(sql).bind(id).execute(c).await.map(drop))?;
    }
    Ok(())
}
