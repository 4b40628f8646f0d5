//! The SQL of posts.

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, StoreError, Tx, with_conn};
use faceofmind_model::{Page, PageRequest, PostId, UserId};

use crate::community::{NewContent, Post};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, p.user_id, p.content, p.created_at, p.updated_at, ",
            "coalesce((SELECT n.comments FROM comment_counts n WHERE n.post_id = p.id), 0) AS comment_count ",
            "FROM ",
            $rest
        )
    };
}

/// The ids of the page first, from the index: PostgreSQL evaluates what a row of the result consists of also for the rows before the offset.
const PAGE: &str = select!(
    "(SELECT id FROM community_posts WHERE id < $1 ORDER BY id DESC LIMIT $2 OFFSET $3) AS page \
     JOIN community_posts p ON p.id = page.id ORDER BY p.id DESC"
);
/// The last of the page, and the one that follows.
const PAGE_END: &str = "SELECT id FROM community_posts WHERE id < $1 ORDER BY id DESC LIMIT 2 OFFSET $2";
const FIND: &str = select!("community_posts p WHERE p.id = $1");
const AUTHOR: &str = "SELECT user_id FROM community_posts WHERE id = $1";
const LOCK: &str = "SELECT user_id FROM community_posts WHERE id = $1 FOR UPDATE";
const INSERT: &str =
    "INSERT INTO community_posts (user_id, content, created_at, updated_at) VALUES ($1, $2, $3, $3) RETURNING id";
const UPDATE: &str = "UPDATE community_posts SET content = $2, updated_at = $3 WHERE id = $1 AND content <> $2";
const LOCK_COMMENTS: &str = "SELECT id FROM community_comments WHERE post_id = $1 ORDER BY id FOR UPDATE";
/// Comments first: legacy databases have no cascades.
const DELETE: [&str; 2] =
    ["DELETE FROM community_comments WHERE post_id = $1", "DELETE FROM community_posts WHERE id = $1"];

/// Reads posts of all users, newest first.
pub(in crate::community) async fn page(
    connection: Connection<'_>,
    request: PageRequest<PostId>,
) -> Result<Page<Post, PostId>, StoreError> {
    let rows = with_conn!(connection, c => sqlx::query_as(PAGE)
        .bind(request.after.unwrap_or(PostId(i64::MAX))).bind(request.rows()).bind(i64::from(request.skip))
        .fetch_all(c).await)?;
    Ok(request.page(rows, |post: &Post| post.id))
}

/// Returns the id of the last post of a page when another one follows.
pub(in crate::community) async fn page_end(
    connection: Connection<'_>,
    request: PageRequest<PostId>,
) -> Result<Option<PostId>, StoreError> {
    let ids: Vec<(PostId,)> = with_conn!(connection, c => sqlx::query_as(PAGE_END)
        .bind(request.after.unwrap_or(PostId(i64::MAX))).bind(request.offset_of_last())
        .fetch_all(c).await)?;
    Ok(if let [(last,), _] = ids[..] { Some(last) } else { None })
}

pub(in crate::community) async fn find(connection: Connection<'_>, id: PostId) -> Result<Option<Post>, StoreError> {
    Ok(with_conn!(connection, c => sqlx::query_as(FIND).bind(id).fetch_optional(c).await)?)
}

/// Locks a post until the transaction ends, and returns its author. On SQLite the transaction is the only writer.
pub(in crate::community) async fn lock(tx: &mut Tx, id: PostId) -> Result<Option<UserId>, StoreError> {
    let sql = if matches!(tx, Tx::Postgres(_)) { LOCK } else { AUTHOR };
    let row: Option<(UserId,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(sql).bind(id).fetch_optional(c).await)?;
    Ok(row.map(|(author,)| author))
}

pub(in crate::community) async fn insert(tx: &mut Tx, new: &NewContent, now: Timestamp) -> Result<Post, StoreError> {
    let (id,): (PostId,) = with_conn!(tx.connection(), c => sqlx::query_as(INSERT)
        .bind(new.author).bind(&new.content).bind(now)
        .fetch_one(c).await)?;
    let (user_id, content) = (new.author, new.content.clone());
    Ok(Post { id, user_id, content, created_at: now, updated_at: now, comment_count: 0 })
}

/// Writes nothing where the content is the same.
pub(in crate::community) async fn update(
    tx: &mut Tx,
    id: PostId,
    content: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    Ok(
        with_conn!(tx.connection(), c => sqlx::query(UPDATE).bind(id).bind(content).bind(now).execute(c).await.map(drop))?,
    )
}

/// Deletes a locked post with its comments.
pub(in crate::community) async fn delete(tx: &mut Tx, id: PostId) -> Result<(), StoreError> {
    tx.on_postgres(sqlx::query(LOCK_COMMENTS).bind(id)).await?;
    for sql in DELETE {
        with_conn!(tx.connection(), c => sqlx::query(sql).bind(id).execute(c).await.map(drop))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_page_far_back_counts_the_comments_of_its_own_posts_alone() {
        let db = testing::databases().await.pop().expect("PostgreSQL");
        let user = testing::user(&db, "ada@example.org").await;
        let posts = format!(
            "INSERT INTO community_posts (user_id, content, created_at, updated_at) \
             SELECT {user}, repeat('long ', 100), now(), now() FROM generate_series(1, 5000)"
        );
        let comments = format!(
            "INSERT INTO community_comments (post_id, user_id, content, created_at, updated_at) \
             SELECT id, {user}, 'short', now(), now() FROM community_posts"
        );
        testing::fill(&db, &[&posts, &comments]).await;
        let pages = async |skip| testing::pages_touched(&db, PAGE, &format!("{}, 6, {skip}", i32::MAX)).await;
        let (first, far_back) = (pages(0).await, pages(4990).await);
        // The posts before the offset take some 400 pages where PostgreSQL reads them too, and their comments would take 10,000.
        assert!(far_back < first + 1000, "{far_back} against {first}");
    }

    #[tokio::test]
    async fn comments_that_other_programs_write_move_or_delete_are_counted() {
        for db in testing::databases().await {
            let user = testing::user(&db, "ada@example.org").await;
            let run = async |sql: &str| testing::run(&db, sql).await;
            let counts = async || -> Vec<i64> {
                let request = PageRequest { reader: user, after: None, skip: 0, limit: 10 };
                let mut reader = db.read_conn().await.expect("a connection");
                let posts = page(reader.connection(), request).await.expect("posts").results;
                posts.iter().rev().map(|post| post.comment_count).collect()
            };
            let texts = "SELECT id, 'words', created_at, created_at FROM users";
            for _ in 0..3 {
                run(&format!("INSERT INTO community_posts (user_id, content, created_at, updated_at) {texts}")).await;
            }
            let comment = "INSERT INTO community_comments (post_id, user_id, content, created_at, updated_at) \
                 SELECT id, user_id, content, created_at, updated_at FROM community_posts";
            run(comment).await;
            run(&format!("{comment} WHERE id < 3")).await;
            assert_eq!(counts().await, [2, 2, 1]);
            run("UPDATE community_comments SET post_id = 3 WHERE id = 1").await;
            assert_eq!(counts().await, [1, 2, 2]);
            run("DELETE FROM community_comments WHERE id IN (1, 2, 3)").await;
            assert_eq!(counts().await, [1, 1, 0]);
            run("DELETE FROM community_posts WHERE id = 1").await;
            assert_eq!(counts().await, [1, 0]);
            let mut tx = db.begin().await.expect("begins");
            delete(&mut tx, PostId(2)).await.expect("deletes");
            tx.commit().await.expect("commits");
            assert_eq!(counts().await, [0]);
        }
    }
}
