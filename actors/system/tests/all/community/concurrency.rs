//! Concurrent requests, also on several nodes: nothing is written by halves, and no transactions deadlock.

use faceofmind_db::{Tx, with_conn};
use faceofmind_domain::accounts::{AccountError, DeleteUser};
use faceofmind_runtime::AskError;
use futures_util::future::join_all;
use serde_json::Value;

use super::*;

/// Waits until that many requests are in progress, and on PostgreSQL one of them waits for a lock.
async fn until_waiting(test: &TestContext, requests: usize) {
    let row = || test.system.tree.snapshot().into_iter().find(|row| row.name == "community").expect("a row");
    until("the requests are in progress", async || row().queue_len == requests).await;
    if matches!(test.db, Database::Postgres(_)) {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("a lock is waited for", async || test.number(waiting).await > 0).await;
    }
}

/// Locks a row as a change of it does. On SQLite the transaction is the only writer.
async fn lock(tx: &mut Tx, table: &str, id: i64) {
    if matches!(tx, Tx::Postgres(_)) {
        let sql = sqlx::AssertSqlSafe(format!("SELECT id FROM {table} WHERE id = $1 FOR UPDATE"));
        with_conn!(tx.connection(), c => sqlx::query(sql).bind(id).execute(c).await.map(drop)).expect("locks");
    }
}

fn delete_user(user: UserId) -> DeleteUser {
    DeleteUser { user, expected_revision: None, events: EventContext::new(Initiator::System) }
}

#[tokio::test]
async fn a_comment_written_during_the_deletion_of_its_author_does_not_deadlock_with_it() {
    for test in contexts().await {
        let ada = person(&test, "ada").await;
        let id = post(&test, ada, "one").await.id;
        let mut deleting = test.db.begin().await.expect("begins");
        lock(&mut deleting, "users", ada.0).await;
        let community = test.system.modules.community.clone();
        let writing =
            tokio::spawn(async move { community.ask(create_comment(id, content(ada, "under my own"))).await });
        until_waiting(&test, 1).await;
        // In a deadlock PostgreSQL would wait for a second and then refuse one of the two.
        erase(&mut deleting, ada).await.expect("erases");
        deleting.rollback().await.expect("rolls back");
        writing.await.expect("no panic").expect("the user has stayed");
    }
}

/// Two nodes on one PostgreSQL database. An SQLite file has one process.
async fn two_nodes() -> (TestContext, TestContext) {
    let on_postgres = |test: &TestContext| matches!(test.db, Database::Postgres(_));
    let first = contexts().await.into_iter().find(on_postgres).expect("a PostgreSQL server");
    let transport = Transport::files(new_folder());
    let second = TestContext::with(first.db.clone(), transport, None, &Clock::system(), settings()).await;
    (first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_and_users_are_deleted_while_others_comment_under_all_posts() {
    let (one, two) = two_nodes().await;
    for round in 0..5 {
        let (mut people, mut written) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let user = person(&one, &format!("{number}.in.{round}")).await;
            written.extend([post(&one, user, "a").await.id, post(&one, user, "b").await.id]);
            people.push(user);
        }
        let everywhere = people.iter().flat_map(|&user| written.iter().map(move |&id| (user, id)));
        let commenting = everywhere
            .clone()
            .map(|(user, id)| one.system.modules.community.ask(create_comment(id, content(user, "c"))));
        let again =
            everywhere.map(|(user, id)| two.system.modules.community.ask(create_comment(id, content(user, "d"))));
        let editor = admin(people[0]);
        let deleting = written.iter().step_by(2).map(|&id| two.system.modules.community.ask(DeletePost { id, editor }));
        let removing = people[1..].iter().map(|&user| one.system.modules.accounts.ask(delete_user(user)));
        let (commented, more, deleted, removed) =
            tokio::join!(join_all(commenting), join_all(again), join_all(deleting), join_all(removing));
        for said in commented.into_iter().chain(more) {
            let is_expected = matches!(said, Ok(_) | Err(CommunityError::PostNotFound | CommunityError::UserNotFound));
            assert!(is_expected, "{said:?}");
        }
        for gone in deleted {
            assert!(matches!(gone, Ok(()) | Err(CommunityError::PostNotFound)), "{gone:?}");
        }
        for gone in removed {
            assert!(matches!(gone, Ok(()) | Err(AccountError::NotFound)), "{gone:?}");
        }
        for table in ["community_posts", "community_comments"] {
            let left = format!("SELECT count(*) FROM {table} WHERE user_id <> {}", people[0]);
            assert_eq!(one.number(&left).await, 0);
        }
        one.system.modules.accounts.ask(delete_user(people[0])).await.expect("deletes");
        assert_eq!(rows(&one).await, (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_comments_under_one_post_are_recorded_in_the_order_of_the_comments() {
    for test in contexts().await {
        let mut people = Vec::new();
        for number in 0..8 {
            people.push(person(&test, &format!("person.{number}")).await);
        }
        let id = post(&test, people[0], "one").await.id;
        let saying = (0..80).map(|number| {
            let (community, user) = (test.system.modules.community.clone(), people[number % 8]);
            let message = create_comment(id, content(user, &format!("no. {number}")));
            tokio::spawn(async move { community.ask(message).await })
        });
        for said in saying.collect::<Vec<_>>() {
            said.await.expect("no panic").expect("comments");
        }
        let mut reader = test.db.read_conn().await.expect("reads");
        let sql = "SELECT envelope FROM events WHERE aggregate = $1 ORDER BY seq";
        let events: Vec<(String,)> = with_conn!(reader.connection(), c =>
            sqlx::query_as(sql).bind(format!("post/{id}")).fetch_all(c).await)
        .expect("events");
        let comment = |envelope: &str| {
            serde_json::from_str::<Value>(envelope).expect("JSON")["data"]["comment_id"].as_i64().unwrap_or(0)
        };
        let comments: Vec<i64> = events.iter().map(|(envelope,)| comment(envelope)).collect();
        assert_eq!(comments.len(), 81);
        assert!(comments.is_sorted(), "{comments:?}");
    }
}

#[tokio::test]
async fn a_panic_of_the_actor_fails_waiting_requests_at_once_and_leaves_nothing_written_by_halves() {
    for test in contexts().await {
        let ada = person(&test, "ada").await;
        let (id, text) = (post(&test, ada, "one").await.id, "said");
        let mut held = test.db.begin().await.expect("begins");
        lock(&mut held, "community_posts", id.0).await;
        let asking = [(); 2].map(|()| {
            let community = test.system.modules.community.clone();
            tokio::spawn(async move { community.ask(create_comment(id, keyed(ada, "k", text))).await })
        });
        until_waiting(&test, 2).await;
        test.kill("community").await;
        for asked in asking {
            let reply = asked.await.expect("no panic");
            let is_unavailable = matches!(
                reply,
                Err(CommunityError::Ask(AskError::Unavailable("community") | AskError::OutcomeUnknown("community")))
            );
            assert!(is_unavailable, "{reply:?}");
        }
        held.rollback().await.expect("rolls back");
        let comment = test.system.modules.community.ask(create_comment(id, keyed(ada, "k", text)));
        comment.await.expect("the key is free");
        assert_eq!((rows(&test).await, test.event_names(ada).await.len()), ((1, 1), 2));
    }
}

#[tokio::test]
async fn a_change_that_waits_for_a_deletion_finds_nothing() {
    for test in contexts().await {
        let ada = person(&test, "ada").await;
        let id = post(&test, ada, "one").await.id;
        let said = comment(&test, id, ada, "said").await.id;
        let mut deleting = test.db.begin().await.expect("begins");
        lock(&mut deleting, "community_comments", said.0).await;
        let community = test.system.modules.community.clone();
        let editing = tokio::spawn(async move { community.ask(update_comment(id, said, "late", user(ada))).await });
        until_waiting(&test, 1).await;
        let delete = "DELETE FROM community_comments WHERE id = $1";
        with_conn!(deleting.connection(), c => sqlx::query(delete).bind(said).execute(c).await.map(drop))
            .expect("deletes");
        deleting.commit().await.expect("commits");
        let late = editing.await.expect("no panic");
        assert!(matches!(late, Err(CommunityError::CommentNotFound)), "{late:?}");
    }
}
