//! Writing, editing and deleting.

use super::*;

/// Makes the tables as some legacy databases have them, with all that is written: nothing in them goes by itself.
async fn without_cascades(world: &World) {
    for table in ["community_comments", "community_posts"] {
        world.run(&format!("CREATE TABLE bare_{table} AS SELECT * FROM {table}")).await;
        world.run(&format!("DROP TABLE {table}")).await;
        world.run(&format!("ALTER TABLE bare_{table} RENAME TO {table}")).await;
    }
}

#[tokio::test]
async fn what_is_written_is_there_and_told_of() {
    for world in worlds().await {
        let (ada, bob) = (person(&world, "ada").await, person(&world, "bob").await);
        let community = &world.system.community;
        let written = post(&world, ada, "What helps you?").await;
        assert_eq!((written.user_id, written.content.as_str()), (ada, "What helps you?"));
        assert_eq!((written.updated_at, written.comment_count), (written.created_at, 0));
        assert_eq!(community.find(written.id).await.expect("is there"), written);

        let said = comment(&world, written.id, bob, "A walk.").await;
        assert_eq!((said.post_id, said.user_id, said.content.as_str()), (written.id, bob, "A walk."));
        assert_eq!(said.updated_at, said.created_at);
        assert_eq!(community.find(written.id).await.expect("is there").comment_count, 1);
        assert_eq!(world.told(ada).await, ["community.post_created"]);
        assert_eq!(world.told(bob).await, ["community.comment_created"]);
    }
}

#[tokio::test]
async fn only_its_author_edits_and_the_same_words_again_change_nothing() {
    for world in worlds().await {
        let (ada, bob) = (person(&world, "ada").await, person(&world, "bob").await);
        let community = &world.system.community;
        let written = post(&world, ada, "What helps you?").await;
        let said = comment(&world, written.id, bob, "A walk.").await;
        world.advance(Duration::from_secs(60));

        let (id, words) = (written.id, "What helped you?");
        let edited = community.edit_post(id, words.into(), member(ada)).await.expect("edits");
        assert_eq!((edited.content.as_str(), edited.created_at, edited.comment_count), (words, written.created_at, 1));
        assert!(edited.updated_at.since(written.updated_at) >= Duration::from_secs(60));
        let walk = "A long walk.";
        let corrected = community.edit_comment(id, said.id, walk.into(), member(bob)).await.expect("edits");
        assert_eq!((corrected.content.as_str(), corrected.created_at), (walk, said.created_at));
        assert!(corrected.updated_at.since(said.updated_at) >= Duration::from_secs(60));

        world.advance(Duration::from_secs(60));
        assert_eq!(community.edit_post(id, words.into(), member(ada)).await.expect("changes nothing"), edited);
        let again = community.edit_comment(id, said.id, walk.into(), member(bob)).await;
        assert_eq!(again.expect("changes nothing"), corrected);
        for other in [member(bob), admin(bob)] {
            let refused = community.edit_post(id, "No.".into(), other).await;
            assert!(matches!(refused, Err(CommunityError::NotAuthor)), "{refused:?}");
        }
        for other in [member(ada), admin(ada)] {
            let refused = community.edit_comment(id, said.id, "No.".into(), other).await;
            assert!(matches!(refused, Err(CommunityError::NotAuthor)), "{refused:?}");
        }
        assert_eq!(community.find(id).await.expect("is there"), edited);
        assert_eq!((world.told(ada).await.len(), world.told(bob).await.len()), (1, 1), "nothing more");
    }
}

#[tokio::test]
async fn authors_and_admins_delete_and_comments_go_with_their_post() {
    for world in worlds().await {
        let (ada, bob) = (person(&world, "ada").await, person(&world, "bob").await);
        let root = person(&world, "root").await;
        let community = &world.system.community;
        let (gone, kept) = (post(&world, ada, "one").await.id, post(&world, ada, "two").await.id);
        let [first, second] = [comment(&world, gone, bob, "a").await.id, comment(&world, gone, bob, "b").await.id];
        comment(&world, gone, ada, "c").await;
        comment(&world, kept, bob, "d").await;
        without_cascades(&world).await;

        let refused = community.delete_comment(gone, first, member(ada)).await;
        assert!(matches!(refused, Err(CommunityError::NotAuthor)), "{refused:?}");
        community.delete_comment(gone, first, member(bob)).await.expect("their own");
        community.delete_comment(gone, second, admin(root)).await.expect("an admin");
        assert_eq!(rows(&world).await, (2, 2));
        let refused = community.delete_post(gone, member(bob)).await;
        assert!(matches!(refused, Err(CommunityError::NotAuthor)), "{refused:?}");
        community.delete_post(gone, member(ada)).await.expect("their own");
        assert_eq!(rows(&world).await, (1, 1));
        community.delete_post(kept, admin(root)).await.expect("an admin");
        assert_eq!(rows(&world).await, (0, 0));
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    for world in worlds().await {
        let ada = person(&world, "ada").await;
        let community = &world.system.community;
        let (one, other) = (post(&world, ada, "one").await.id, post(&world, ada, "other").await.id);
        let said = comment(&world, one, ada, "said").await;
        let no_post = |result: Result<(), CommunityError>| assert!(matches!(result, Err(CommunityError::NoPost)));
        no_post(community.find(NOWHERE).await.map(drop));
        no_post(community.comment(NOWHERE, draft(ada, "lost")).await.map(drop));
        no_post(community.edit_post(NOWHERE, "lost".into(), admin(ada)).await.map(drop));
        no_post(community.delete_post(NOWHERE, admin(ada)).await);
        for (post, id) in [(other, said.id), (NOWHERE, said.id), (one, CommentId(4_000_000))] {
            let edited = community.edit_comment(post, id, "lost".into(), member(ada)).await;
            assert!(matches!(edited, Err(CommunityError::NoComment)), "{edited:?}");
            let deleted = community.delete_comment(post, id, admin(ada)).await;
            assert!(matches!(deleted, Err(CommunityError::NoComment)), "{deleted:?}");
        }
        assert_eq!((rows(&world).await, world.told(ada).await.len()), ((2, 1), 3));
    }
}

#[tokio::test]
async fn nobody_writes_who_is_not_there_any_more() {
    for world in worlds().await {
        let (ada, gone) = (person(&world, "ada").await, UserId(4_000_000));
        let id = post(&world, ada, "one").await.id;
        let posted = world.system.community.post(keyed(gone, "k", "late")).await;
        assert!(matches!(posted, Err(CommunityError::NoUser)), "{posted:?}");
        let commented = world.system.community.comment(id, draft(gone, "late")).await;
        assert!(matches!(commented, Err(CommunityError::NoUser)), "{commented:?}");
        assert_eq!(rows(&world).await, (1, 0));
    }
}

#[tokio::test]
async fn an_erased_user_takes_along_what_they_wrote_and_what_stands_under_it() {
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
        assert_eq!(world.system.community.find(of_bob).await.expect("is there").comment_count, 1);
    }
}
