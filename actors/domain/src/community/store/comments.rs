//! Comments.

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, Tx, with_conn};
use faceofmind_runtime::legacy::Failure;

use crate::community::{Comment, Draft, Page, Part};
use faceofmind_model::community::{CommentId, PostId};
use faceofmind_model::user::UserId;

/// A comment, and under which post it is said to stand.
pub(in crate::community) type Asked = (PostId, CommentId);

const PAGE: &str = "SELECT id, post_id, user_id, content, created_at, updated_at FROM community_comments \
    WHERE post_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3 OFFSET $4";
const FIND: &str = "SELECT id, post_id, user_id, content, created_at, updated_at FROM community_comments WHERE id = $1";
const AUTHOR: &str = "SELECT user_id FROM community_comments WHERE id = $1 AND post_id = $2";
const LOCK: &str = "SELECT user_id FROM community_comments WHERE id = $1 AND post_id = $2 FOR UPDATE";
const INSERT: &str = "INSERT INTO community_comments (post_id, user_id, content, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $4) RETURNING id";
const EDIT: &str = "UPDATE community_comments SET content = $2, updated_at = $3 WHERE id = $1 AND content <> $2";
const DELETE: &str = "DELETE FROM community_comments WHERE id = $1";

/// Those under a post, newest first.
pub(in crate::community) async fn page(
    connection: Connection<'_>,
    post: PostId,
    part: Part<CommentId>,
) -> Result<Page<Comment, CommentId>, Failure> {
    let rows = with_conn!(connection, c => sqlx::query_as(PAGE)
        .bind(post).bind(part.after.unwrap_or(CommentId(i64::MAX))).bind(part.rows()).bind(i64::from(part.skip))
        .fetch_all(c).await)?;
    Ok(part.page(rows, |comment: &Comment| comment.id))
}

/// A comment that is locked, and so is there.
pub(in crate::community) async fn find(tx: &mut Tx, id: CommentId) -> Result<Comment, Failure> {
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(FIND).bind(id).fetch_one(c).await)?)
}

/// Locks a comment until the transaction ends, and tells its author. SQLite has one writer, who is us.
pub(in crate::community) async fn lock(tx: &mut Tx, (post, id): Asked) -> Result<Option<UserId>, Failure> {
    let sql = if matches!(tx, Tx::Postgres(_)) { LOCK } else { AUTHOR };
    let row: Option<(UserId,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(sql).bind(id).bind(post).fetch_optional(c).await)?;
    Ok(row.map(|(author,)| author))
}

/// Puts one under a post that is locked.
pub(in crate::community) async fn insert(
    tx: &mut Tx,
    post_id: PostId,
    draft: &Draft,
    now: Timestamp,
) -> Result<Comment, Failure> {
    let (id,): (CommentId,) = with_conn!(tx.connection(), c => sqlx::query_as(INSERT)
        .bind(post_id).bind(draft.user).bind(&draft.content).bind(now)
        .fetch_one(c).await)?;
    let (user_id, content) = (draft.user, draft.content.clone());
    Ok(Comment { id, post_id, user_id, content, created_at: now, updated_at: now })
}

/// Changes nothing, not even its time, where the content is the same.
pub(in crate::community) async fn edit(
    tx: &mut Tx,
    id: CommentId,
    content: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(EDIT).bind(id).bind(content).bind(now).execute(c).await.map(drop))?)
}

pub(in crate::community) async fn delete(tx: &mut Tx, id: CommentId) -> Result<(), Failure> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(DELETE).bind(id).execute(c).await.map(drop))?)
}
