//! The SQL of `community_posts` and `community_comments`.
//!
//! Whoever writes locks from the outside in: the user to whom it shall belong, the post, its comments; several of a kind in the order of
//! their ids. So no two wait for each other in a circle.

use faceofmind_db::{Connection, Tx, with_conn};
use faceofmind_runtime::legacy::Failure;

use faceofmind_model::user::UserId;

pub(super) mod comments;
pub(super) mod posts;

const LOCK_POSTS: &str = "SELECT id FROM community_posts WHERE user_id = $1 ORDER BY id FOR UPDATE";
const LOCK_COMMENTS: &str = "SELECT id FROM community_comments WHERE id IN \
    (SELECT id FROM community_comments WHERE user_id = $1 UNION ALL \
     SELECT c.id FROM community_comments c JOIN community_posts p ON p.id = c.post_id WHERE p.user_id = $1) \
    ORDER BY id FOR UPDATE";
/// Leaves first: legacy databases have no cascades.
const ERASE: [&str; 3] = [
    "DELETE FROM community_comments WHERE post_id IN (SELECT id FROM community_posts WHERE user_id = $1)",
    "DELETE FROM community_comments WHERE user_id = $1",
    "DELETE FROM community_posts WHERE user_id = $1",
];

/// Deletes all that a user wrote, and what others wrote under their posts. The caller has locked the user: nothing new comes.
///
/// # Errors
/// [`Failure::Store`].
pub async fn erase(tx: &mut Tx, user: UserId) -> Result<(), Failure> {
    if let Connection::Postgres(c) = tx.connection() {
        for lock in [LOCK_POSTS, LOCK_COMMENTS] {
            sqlx::query(lock).bind(user).execute(&mut *c).await?;
        }
    }
    for sql in ERASE {
        with_conn!(tx.connection(), c => sqlx::query(sql).bind(user).execute(c).await.map(drop))?;
    }
    Ok(())
}
