//! Writing, updating and deleting.

use faceofmind_db::{Tx, with_conn};

use super::*;

/// Takes the cascades from the tables, as some legacy databases have none. Their rows and triggers stay.
async fn without_cascades(test: &TestContext) {
    let on_sqlite: &[&str] = &[
        "PRAGMA writable_schema = on",
        "UPDATE sqlite_master SET sql = replace(sql, ' on delete cascade', '') \
         WHERE name IN ('community_comments', 'community_posts')",
        // By this number the other connections see that they must read the schema again.
        "PRAGMA schema_version = 1000",
        "PRAGMA writable_schema = reset",
    ];
    let on_postgres: &[&str] = &[
        "ALTER TABLE community_comments DROP CONSTRAINT community_comments_post_id_fkey",
        "ALTER TABLE community_comments DROP CONSTRAINT community_comments_user_id_fkey",
        "ALTER TABLE community_posts DROP CONSTRAINT community_posts_user_id_fkey",
    ];
    let mut tx = test.db.begin().await.expect("begins");
    for sql in if matches!(tx, Tx::Sqlite(..)) { on_sqlite } else { on_postgres } {
        with_conn!(tx.connection(), c => sqlx::query(*sql).execute(c).await.map(drop)).expect("runs");
    }
    tx.commit().await.expect("commits");
}

#[tokio::test]
async fn only_the_author_updates_and_the_same_content_changes_nothing() {
    for test in contexts().await {
        let (ada, bob) = (person(&test, "ada").await, person(&test, "bob").await);
        let community = &test.system.modules.community;
        let written = post(&test, ada, "What helps you?").await;
        let said = comment(&test, written.id, bob, "A walk.").await;
        test.advance(Duration::from_secs(60));

        let (id, words) = (written.id, "What helped you?");
        let updated = community.ask(update_post(id, words, user(ada))).await.expect("updates");
        let Post { created_at, comment_count, .. } = updated;
        assert_eq!((updated.content.as_str(), created_at, comment_count), (words, written.created_at, 1));
        assert!(updated.updated_at.since(written.updated_at) >= Duration::from_secs(60));
        let walk = "A long walk.";
        let corrected = community.ask(update_comment(id, said.id, walk, user(bob))).await.expect("updates");
        assert_eq!((corrected.content.as_str(), corrected.created_at), (walk, said.created_at));
        assert!(corrected.updated_at.since(said.updated_at) >= Duration::from_secs(60));

        test.advance(Duration::from_secs(60));
        let same = community.ask(update_post(id, words, user(ada))).await;
        assert_eq!(same.expect("changes nothing"), updated);
        let same = community.ask(update_comment(id, said.id, walk, user(bob))).await;
        assert_eq!(same.expect("changes nothing"), corrected);
        for other in [user(bob), admin(bob)] {
            let refused = community.ask(update_post(id, "No.", other)).await;
            assert!(matches!(refused, Err(CommunityError::NotAuthor)), "{refused:?}");
        }
        for other in [user(ada), admin(ada)] {
            let refused = community.ask(update_comment(id, said.id, "No.", other)).await;
            assert!(matches!(refused, Err(CommunityError::NotAuthor)), "{refused:?}");
        }
        assert_eq!(community.ask(GetPost(id)).await.expect("exists"), updated);
        let events = (test.event_names(ada).await.len(), test.event_names(bob).await.len());
        assert_eq!(events, (1, 1), "no further event");
    }
}

#[tokio::test]
async fn authors_and_admins_delete_and_a_post_is_deleted_with_its_comments() {
    for test in contexts().await {
        let (ada, bob) = (person(&test, "ada").await, person(&test, "bob").await);
        let root = person(&test, "root").await;
        let community = &test.system.modules.community;
        let (gone, kept) = (post(&test, ada, "one").await.id, post(&test, ada, "two").await.id);
        let [first, second] = [comment(&test, gone, bob, "a").await.id, comment(&test, gone, bob, "b").await.id];
        comment(&test, gone, ada, "c").await;
        comment(&test, kept, bob, "d").await;
        without_cascades(&test).await;

        let delete_comment = |id, editor| community.ask(DeleteComment { post: gone, id, editor });
        let delete_post = |id, editor| community.ask(DeletePost { id, editor });
        let refused = delete_comment(first, user(ada)).await;
        assert!(matches!(refused, Err(CommunityError::NotAuthor)), "{refused:?}");
        delete_comment(first, user(bob)).await.expect("the author");
        delete_comment(second, admin(root)).await.expect("an admin");
        assert_eq!(rows(&test).await, (2, 2));
        let refused = delete_post(gone, user(bob)).await;
        assert!(matches!(refused, Err(CommunityError::NotAuthor)), "{refused:?}");
        delete_post(gone, user(ada)).await.expect("the author");
        assert_eq!(rows(&test).await, (1, 1));
        delete_post(kept, admin(root)).await.expect("an admin");
        assert_eq!(rows(&test).await, (0, 0));
    }
}

#[tokio::test]
async fn a_user_who_does_not_exist_cannot_write() {
    for test in contexts().await {
        let (ada, gone) = (person(&test, "ada").await, UserId(4_000_000));
        let id = post(&test, ada, "one").await.id;
        let posted = test.system.modules.community.ask(create_post(keyed(gone, "k", "late"))).await;
        assert!(matches!(posted, Err(CommunityError::UserNotFound)), "{posted:?}");
        let commented = test.system.modules.community.ask(create_comment(id, content(gone, "late"))).await;
        assert!(matches!(commented, Err(CommunityError::UserNotFound)), "{commented:?}");
        assert_eq!(rows(&test).await, (1, 0));
    }
}

#[tokio::test]
async fn erasing_a_user_deletes_what_they_wrote_and_the_comments_under_their_posts() {
    for test in contexts().await {
        let (ada, bob) = (person(&test, "ada").await, person(&test, "bob").await);
        let (of_ada, of_bob) = (post(&test, ada, "one").await.id, post(&test, bob, "two").await.id);
        for user in [ada, bob] {
            comment(&test, of_ada, user, "under hers").await;
            comment(&test, of_bob, user, "under his").await;
        }
        without_cascades(&test).await;
        let mut tx = test.db.begin().await.expect("begins");
        erase(&mut tx, ada).await.expect("erases");
        tx.commit().await.expect("commits");
        assert_eq!(rows(&test).await, (1, 1));
        assert_eq!(test.number("SELECT count(*) FROM community_comments WHERE content = 'under his'").await, 1);
        assert_eq!(test.system.modules.community.ask(GetPost(of_bob)).await.expect("exists").comment_count, 1);
    }
}
