//! The SQL of `community_posts` and `community_comments`.
//!
//! A transaction locks first the user to whom the row will belong, then the post, then its comments, then (by triggers) the posts' counts of
//! comments, and several rows of one table in the order of their ids. So transactions do not deadlock.

use faceofmind_db::{StoreError, Tx, with_conn};
use faceofmind_model::UserId;

pub(super) mod comments;
pub(super) mod posts;

const LOCK_POSTS: &str = "SELECT id FROM community_posts WHERE user_id = $1 ORDER BY id FOR UPDATE";
const LOCK_COMMENTS: &str = "SELECT id FROM community_comments WHERE id IN \
    (SELECT id FROM community_comments WHERE user_id = $1 UNION ALL \
     SELECT c.id FROM community_comments c JOIN community_posts p ON p.id = c.post_id WHERE p.user_id = $1) \
    ORDER BY id FOR UPDATE";
/// Comments before their posts: legacy databases have no cascades. Comments under other users' posts come last, because new comments there wait
/// for the locked counts.
const ERASE: [&str; 3] = [
    "DELETE FROM community_comments WHERE post_id IN (SELECT id FROM community_posts WHERE user_id = $1)",
    "DELETE FROM community_posts WHERE user_id = $1",
    "DELETE FROM community_comments WHERE user_id = $1",
];

/// Deletes the user's posts and comments, and the comments of others under the posts. Requires that the caller has locked the user, so that
/// no new rows are added.
pub async fn erase(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    for lock in [LOCK_POSTS, LOCK_COMMENTS] {
        tx.on_postgres(sqlx::query(lock).bind(user)).await?;
    }
    for sql in ERASE {
        with_conn!(tx.connection(), c => sqlx::query(sql).bind(user).execute(c).await.map(drop))?;
    }
    Ok(())
}
