//! Writing, updating and deleting.

use super::*;

/// Rebuilds the tables with their rows as some legacy databases have them, without cascades.
async fn without_cascades(world: &World) {
    for table in ["community_comments", "community_posts"] {
        world.run(&format!("CREATE TABLE bare_{table} AS SELECT * FROM {table}")).await;
        world.run(&format!("DROP TABLE {table}")).await;
        world.run(&format!("ALTER TABLE bare_{table} RENAME TO {table}")).await;
    }
}

#[tokio::test]
async fn only_the_author_updates_and_the_same_content_changes_nothing() {
    for world in worlds().await {
        let (ada, bob) = (person(&world, "ada").await, person(&world, "bob").await);
        let community = &world.system.modules.community;
        let written = post(&world, ada, "What helps you?").await;
        let said = comment(&world, written.id, bob, "A walk.").await;
        world.advance(Duration::from_secs(60));

        let (id, words) = (written.id, "What helped you?");
        let updated = community.ask(update_post(id, words, user(ada))).await.expect("updates");
        let Post { created_at, comment_count, .. } = updated;
        assert_eq!((updated.content.as_str(), created_at, comment_count), (words, written.created_at, 1));
        assert!(updated.updated_at.since(written.updated_at) >= Duration::from_secs(60));
        let walk = "A long walk.";
        let corrected = community.ask(update_comment(id, said.id, walk, user(bob))).await.expect("updates");
        assert_eq!((corrected.content.as_str(), corrected.created_at), (walk, said.created_at));
        assert!(corrected.updated_at.since(said.updated_at) >= Duration::from_secs(60));

        world.advance(Duration::from_secs(60));
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
        let events = (world.event_names(ada).await.len(), world.event_names(bob).await.len());
        assert_eq!(events, (1, 1), "no further event");
    }
}

#[tokio::test]
async fn authors_and_admins_delete_and_a_post_is_deleted_with_its_comments() {
    for world in worlds().await {
        let (ada, bob) = (person(&world, "ada").await, person(&world, "bob").await);
        let root = person(&world, "root").await;
        let community = &world.system.modules.community;
        let (gone, kept) = (post(&world, ada, "one").await.id, post(&world, ada, "two").await.id);
        let [first, second] = [comment(&world, gone, bob, "a").await.id, comment(&world, gone, bob, "b").await.id];
        comment(&world, gone, ada, "c").await;
        comment(&world, kept, bob, "d").await;
        without_cascades(&world).await;

        let delete_comment = |id, editor| community.ask(DeleteComment { post: gone, id, editor });
        let delete_post = |id, editor| community.ask(DeletePost { id, editor });
        let refused = delete_comment(first, user(ada)).await;
        assert!(matches!(refused, Err(CommunityError::NotAuthor)), "{refused:?}");
        delete_comment(first, user(bob)).await.expect("the author");
        delete_comment(second, admin(root)).await.expect("an admin");
        assert_eq!(rows(&world).await, (2, 2));
        let refused = delete_post(gone, user(bob)).await;
        assert!(matches!(refused, Err(CommunityError::NotAuthor)), "{refused:?}");
        delete_post(gone, user(ada)).await.expect("the author");
        assert_eq!(rows(&world).await, (1, 1));
        delete_post(kept, admin(root)).await.expect("an admin");
        assert_eq!(rows(&world).await, (0, 0));
    }
}

#[tokio::test]
async fn a_user_who_does_not_exist_cannot_write() {
    for world in worlds().await {
        let (ada, gone) = (person(&world, "ada").await, UserId(4_000_000));
        let id = post(&world, ada, "one").await.id;
        let posted = world.system.modules.community.ask(create_post(keyed(gone, "k", "late"))).await;
        assert!(matches!(posted, Err(CommunityError::UserNotFound)), "{posted:?}");
        let commented = world.system.modules.community.ask(create_comment(id, content(gone, "late"))).await;
        assert!(matches!(commented, Err(CommunityError::UserNotFound)), "{commented:?}");
        assert_eq!(rows(&world).await, (1, 0));
    }
}

#[tokio::test]
async fn erasing_a_user_deletes_what_they_wrote_and_the_comments_under_their_posts() {
    for world in worlds().await {
        let (ada, bob) = (person(&world, "ada").await, person(&world, "bob").await);
        let (of_ada, of_bob) = (post(&world, ada, "one").await.id, post(&world, bob, "two").await.id);
        for user in [ada, bob] {
            comment(&world, of_ada, user, "under hers").await;
            comment(&world, of_bob, user, "under his").await;
        }
        without_cascades(&world).await;
        let mut tx = world.db.begin().await.expect("begins");
        erase(&mut tx, ada).await.expect("erases");
        tx.commit().await.expect("commits");
        assert_eq!(rows(&world).await, (1, 1));
        assert_eq!(world.number("SELECT count(*) FROM community_comments WHERE content = 'under his'").await, 1);
        assert_eq!(world.system.modules.community.ask(GetPost(of_bob)).await.expect("exists").comment_count, 1);
    }
}
