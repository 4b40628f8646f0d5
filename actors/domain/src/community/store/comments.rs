//! The SQL of comments.

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, StoreError, Tx, with_conn};
use faceofmind_model::{CommentId, Page, PageRequest, PostId, UserId};

use crate::community::{Comment, NewContent};

/// The ids of the page first, from the index, so that no text before the offset is read.
const PAGE: &str = "SELECT c.id, c.post_id, c.user_id, c.content, c.created_at, c.updated_at FROM \
    (SELECT id FROM community_comments WHERE post_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3 OFFSET $4) AS page \
    JOIN community_comments c ON c.id = page.id ORDER BY c.id DESC";
/// The last of the page, and the one that follows.
const PAGE_END: &str =
    "SELECT id FROM community_comments WHERE post_id = $1 AND id < $2 ORDER BY id DESC LIMIT 2 OFFSET $3";
const GET: &str = "SELECT id, post_id, user_id, content, created_at, updated_at FROM community_comments WHERE id = $1";
const AUTHOR: &str = "SELECT user_id FROM community_comments WHERE id = $1 AND post_id = $2";
const LOCK: &str = "SELECT user_id FROM community_comments WHERE id = $1 AND post_id = $2 FOR UPDATE";
const INSERT: &str = "INSERT INTO community_comments (post_id, user_id, content, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $4) RETURNING id";
const UPDATE: &str = "UPDATE community_comments SET content = $2, updated_at = $3 WHERE id = $1 AND content <> $2";
const DELETE: &str = "DELETE FROM community_comments WHERE id = $1";

/// Reads comments under a post, newest first.
pub(in crate::community) async fn page(
    connection: Connection<'_>,
    post: PostId,
    request: PageRequest<CommentId>,
) -> Result<Page<Comment, CommentId>, StoreError> {
    let rows = with_conn!(connection, c => sqlx::query_as(PAGE)
        .bind(post).bind(request.after.unwrap_or(CommentId(i64::MAX))).bind(request.rows()).bind(i64::from(request.skip))
        .fetch_all(c).await)?;
    Ok(request.page(rows, |comment: &Comment| comment.id))
}

/// Returns the id of the last comment of a page when another one follows.
pub(in crate::community) async fn page_end(
    connection: Connection<'_>,
    post: PostId,
    request: PageRequest<CommentId>,
) -> Result<Option<CommentId>, StoreError> {
    let ids: Vec<(CommentId,)> = with_conn!(connection, c => sqlx::query_as(PAGE_END)
        .bind(post).bind(request.after.unwrap_or(CommentId(i64::MAX))).bind(request.offset_of_last())
        .fetch_all(c).await)?;
    Ok(if let [(last,), _] = ids[..] { Some(last) } else { None })
}

/// Reads a comment that is [locked](lock).
pub(in crate::community) async fn get(tx: &mut Tx, id: CommentId) -> Result<Comment, StoreError> {
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(GET).bind(id).fetch_one(c).await)?)
}

/// Locks a comment under this post until the transaction ends, and returns its author. On SQLite the transaction is the only writer.
pub(in crate::community) async fn lock(tx: &mut Tx, post: PostId, id: CommentId) -> Result<Option<UserId>, StoreError> {
    let sql = if matches!(tx, Tx::Postgres(_)) { LOCK } else { AUTHOR };
    let row: Option<(UserId,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(sql).bind(id).bind(post).fetch_optional(c).await)?;
    Ok(row.map(|(author,)| author))
}

/// Inserts a comment under a post that is locked.
pub(in crate::community) async fn insert(
    tx: &mut Tx,
    post_id: PostId,
    new: &NewContent,
    now: Timestamp,
) -> Result<Comment, StoreError> {
    let (id,): (CommentId,) = with_conn!(tx.connection(), c => sqlx::query_as(INSERT)
        .bind(post_id).bind(new.author).bind(&new.content).bind(now)
        .fetch_one(c).await)?;
    let (user_id, content) = (new.author, new.content.clone());
    Ok(Comment { id, post_id, user_id, content, created_at: now, updated_at: now })
}

/// Writes nothing where the content is the same.
pub(in crate::community) async fn update(
    tx: &mut Tx,
    id: CommentId,
    content: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    Ok(
        with_conn!(tx.connection(), c => sqlx::query(UPDATE).bind(id).bind(content).bind(now).execute(c).await.map(drop))?,
    )
}

pub(in crate::community) async fn delete(tx: &mut Tx, id: CommentId) -> Result<(), StoreError> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(DELETE).bind(id).execute(c).await.map(drop))?)
}
