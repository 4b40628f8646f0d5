//! Many at once, also on several nodes: nothing is half-done, and nobody waits in a circle.

use faceofmind_db::{Tx, with_conn};
use faceofmind_runtime::legacy::Failure;
use futures_util::future::join_all;

use super::{
    store::{comments, posts},
    *,
};
use crate::support::{bounds, new_folder, until};
use faceofmind_domain::accounts::ChangeError;
use faceofmind_platform::mail::Transport;

/// Waits until that many letters are under way, and on PostgreSQL one of them waits for a lock.
async fn until_waiting(world: &World, letters: usize) {
    let row = || world.system.tree.snapshot().into_iter().find(|row| row.name == "community").expect("a row");
    until("the letters are under way", async || row().queue_len == letters).await;
    if matches!(world.db, Database::Postgres(_)) {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("a lock is waited for", async || world.number(waiting).await > 0).await;
    }
}

/// Removing a user begins with this.
async fn lock_for_removal(tx: &mut Tx, user: UserId) {
    if matches!(tx, Tx::Postgres(_)) {
        let sql = "SELECT id FROM users WHERE id = $1 FOR UPDATE";
        with_conn!(tx.connection(), c => sqlx::query(sql).bind(user).execute(c).await.map(drop)).expect("locks");
    }
}

#[tokio::test]
async fn who_writes_while_they_are_removed_holds_up_nobody() {
    for world in worlds().await {
        let ada = person(&world, "ada").await;
        let id = post(&world, ada, "one").await.id;
        let mut removing = world.db.begin().await.expect("begins");
        lock_for_removal(&mut removing, ada).await;
        let community = world.system.community.clone();
        let writing = tokio::spawn(async move { community.comment(id, draft(ada, "under my own")).await });
        until_waiting(&world, 1).await;
        // In a circle PostgreSQL would wait a second and then refuse one of the two.
        erase(&mut removing, ada).await.expect("erases");
        removing.rollback().await.expect("lets go");
        fresh(writing.await.expect("no panic").expect("the user has stayed"));
    }
}

/// Two nodes on one database: PostgreSQL only, a file has one process.
async fn two_nodes() -> Option<(World, World)> {
    let first = worlds().await.into_iter().find(|world| matches!(world.db, Database::Postgres(_)))?;
    let transport = Transport::files(new_folder());
    let second = World::with(first.db.clone(), transport, None, &Clock::system(), bounds()).await;
    Some((first, second))
}

/// Everyone writes under everyone's posts while posts and people go.
#[tokio::test(flavor = "multi_thread")]
async fn posts_and_people_are_deleted_while_others_write_under_them() {
    let Some((one, two)) = two_nodes().await else { return };
    for round in 0..5 {
        let (mut people, mut written) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let user = person(&one, &format!("{number}.in.{round}")).await;
            written.extend([post(&one, user, "a").await.id, post(&one, user, "b").await.id]);
            people.push(user);
        }
        let everywhere = people.iter().flat_map(|&user| written.iter().map(move |&id| (user, id)));
        let commenting = everywhere.clone().map(|(user, id)| one.system.community.comment(id, draft(user, "c")));
        let again = everywhere.map(|(user, id)| two.system.community.comment(id, draft(user, "d")));
        let moderator = admin(people[0]);
        let deleting = written.iter().step_by(2).map(|&id| two.system.community.delete_post(id, moderator));
        let origin = || EventContext::new(Initiator::System);
        let removing = people[1..].iter().map(|&user| one.system.registry.delete(user, origin()));
        let (commented, more, deleted, removed) =
            tokio::join!(join_all(commenting), join_all(again), join_all(deleting), join_all(removing));
        for said in commented.into_iter().chain(more) {
            assert!(matches!(said, Ok(_) | Err(CommunityError::NoPost | CommunityError::NoUser)), "{said:?}");
        }
        for gone in deleted {
            assert!(matches!(gone, Ok(()) | Err(CommunityError::NoPost)), "{gone:?}");
        }
        for gone in removed {
            assert!(matches!(gone, Ok(()) | Err(ChangeError::NotFound)), "{gone:?}");
        }
        let left = format!("SELECT count(*) FROM community_posts WHERE user_id <> {}", people[0]);
        assert_eq!(one.number(&left).await, 0);
        let left = format!("SELECT count(*) FROM community_comments WHERE user_id <> {}", people[0]);
        assert_eq!(one.number(&left).await, 0);
        one.system.registry.delete(people[0], origin()).await.expect("deletes");
        assert_eq!(rows(&one).await, (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_under_one_post_are_told_in_the_order_in_which_they_stand() {
    for world in worlds().await {
        let mut people = Vec::new();
        for number in 0..8 {
            people.push(person(&world, &format!("person.{number}")).await);
        }
        let id = post(&world, people[0], "one").await.id;
        let saying = (0..80).map(|number| {
            let (community, user) = (world.system.community.clone(), people[number % 8]);
            tokio::spawn(async move { community.comment(id, draft(user, &format!("no. {number}"))).await })
        });
        for said in saying.collect::<Vec<_>>() {
            fresh(said.await.expect("no panic").expect("is put there"));
        }
        let mut reader = world.db.read_conn().await.expect("reads");
        let sql = "SELECT envelope FROM events WHERE aggregate = $1 ORDER BY seq";
        let told: Vec<(String,)> = with_conn!(reader.connection(), c =>
            sqlx::query_as(sql).bind(format!("post/{id}")).fetch_all(c).await)
        .expect("events");
        let comment = |envelope: &str| {
            serde_json::from_str::<Value>(envelope).expect("JSON")["data"]["comment_id"].as_i64().unwrap_or(0)
        };
        let told: Vec<i64> = told.iter().map(|(envelope,)| comment(envelope)).collect();
        assert_eq!(told.len(), 81);
        assert!(told.is_sorted(), "{told:?}");
    }
}

#[tokio::test]
async fn who_waits_on_a_community_that_dies_hears_so_at_once_and_nothing_is_half_there() {
    for world in worlds().await {
        let ada = person(&world, "ada").await;
        let (id, content) = (post(&world, ada, "one").await.id, "said");
        let mut held = world.db.begin().await.expect("begins");
        posts::lock(&mut held, id).await.expect("locks").expect("is there");
        let asking = [(); 2].map(|()| {
            let community = world.system.community.clone();
            tokio::spawn(async move { community.comment(id, keyed(ada, "k", content)).await })
        });
        until_waiting(&world, 2).await;
        world.kill("community").await;
        for asked in asking {
            let heard = asked.await.expect("no panic");
            let is_told = matches!(heard, Err(CommunityError::Failed(Failure::Unavailable("community"))));
            assert!(is_told, "{heard:?}");
        }
        held.rollback().await.expect("lets go");
        fresh(world.system.community.comment(id, keyed(ada, "k", content)).await.expect("nothing was done"));
        assert_eq!((rows(&world).await, world.told(ada).await.len()), ((1, 1), 2));
    }
}

#[tokio::test]
async fn an_edit_and_a_deletion_take_turns() {
    for world in worlds().await {
        let ada = person(&world, "ada").await;
        let id = post(&world, ada, "one").await.id;
        let said = comment(&world, id, ada, "said").await.id;
        let mut deleting = world.db.begin().await.expect("begins");
        comments::lock(&mut deleting, (id, said)).await.expect("locks").expect("is there");
        let community = world.system.community.clone();
        let editing = tokio::spawn(async move { community.edit_comment(id, said, "late".into(), member(ada)).await });
        until_waiting(&world, 1).await;
        comments::delete(&mut deleting, said).await.expect("deletes");
        deleting.commit().await.expect("commits");
        let late = editing.await.expect("no panic");
        assert!(matches!(late, Err(CommunityError::NoComment)), "{late:?}");
    }
}
