use faceofmind_kit::{Clock, Database};

use super::*;
use crate::testing;

const CALL: &str = "POST /api/v1/posts/";

fn key(user: UserId, word: &str, body: &str) -> Key {
    Key::of(user, CALL, word, body.as_bytes())
}

fn answer(id: i64) -> Answer {
    Answer::of(201, &serde_json::json!({ "id": id })).expect("JSON")
}

/// Claims, and settles with `answer(id)` what is first, in one transaction.
async fn claimed(db: &Database, key: &Key, now: Timestamp, id: i64) -> Claim {
    let mut tx = db.begin().await.expect("begins");
    let claim = claim(&mut tx, key, now).await.expect("claims");
    if claim == Claim::First {
        settle(&mut tx, key, &answer(id)).await.expect("settles");
    }
    tx.commit().await.expect("commits");
    claim
}

#[tokio::test]
async fn the_same_key_and_body_get_the_first_answer_again() {
    for db in testing::databases().await {
        let (user, now) = (testing::user(&db, "ada@example.org").await, Clock::system().now());
        assert_eq!(claimed(&db, &key(user, "k", "{}"), now, 1).await, Claim::First);
        assert_eq!(claimed(&db, &key(user, "k", "{}"), now, 2).await, Claim::Again(answer(1)));
        assert_eq!(claimed(&db, &key(user, "k", "{ }"), now, 3).await, Claim::Mismatch);
    }
}

#[tokio::test]
async fn a_key_belongs_to_its_user_and_call() {
    for db in testing::databases().await {
        let (ada, bob) = (testing::user(&db, "ada@example.org").await, testing::user(&db, "bob@example.org").await);
        let now = Clock::system().now();
        let elsewhere = Key { call: "POST /api/v1/reminders/".into(), ..key(ada, "k", "{}") };
        for other in [key(ada, "k", "{}"), key(bob, "k", "{}"), elsewhere, key(ada, "K", "{}")] {
            assert_eq!(claimed(&db, &other, now, 1).await, Claim::First, "{other:?}");
        }
    }
}

#[tokio::test]
async fn after_a_day_a_key_is_new() {
    for db in testing::databases().await {
        let (user, now) = (testing::user(&db, "ada@example.org").await, Clock::system().now());
        claimed(&db, &key(user, "k", "one"), now, 1).await;
        let almost = now + KEPT - Duration::from_secs(1);
        assert_eq!(claimed(&db, &key(user, "k", "two"), almost, 2).await, Claim::Mismatch);
        assert_eq!(claimed(&db, &key(user, "k", "two"), now + KEPT, 2).await, Claim::First);
        assert_eq!(claimed(&db, &key(user, "k", "two"), now + KEPT, 3).await, Claim::Again(answer(2)));
    }
}

#[tokio::test]
async fn a_claim_whose_change_was_taken_back_never_was() {
    for db in testing::databases().await {
        let (user, now) = (testing::user(&db, "ada@example.org").await, Clock::system().now());
        let mut tx = db.begin().await.expect("begins");
        assert_eq!(claim(&mut tx, &key(user, "k", "one"), now).await.expect("claims"), Claim::First);
        tx.rollback().await.expect("taken back");
        assert_eq!(claimed(&db, &key(user, "k", "two"), now, 1).await, Claim::First);
    }
}

#[tokio::test]
async fn of_parallel_claims_one_is_first_and_the_others_wait_for_its_answer() {
    for db in testing::databases().await {
        let (user, now) = (testing::user(&db, "ada@example.org").await, Clock::system().now());
        let claims = (0..20).map(|id| {
            let db = db.clone();
            tokio::spawn(async move { claimed(&db, &key(user, "k", "{}"), now, id).await })
        });
        let mut answers = Vec::new();
        let mut firsts = 0;
        for claim in claims.collect::<Vec<_>>() {
            match claim.await.expect("no panic") {
                Claim::First => firsts += 1,
                Claim::Again(answer) => answers.push(answer.body),
                Claim::Mismatch => panic!("one body"),
            }
        }
        answers.dedup();
        assert_eq!((firsts, answers.len()), (1, 1), "{answers:?}");
    }
}

#[tokio::test]
async fn old_keys_are_swept_and_an_erased_users_keys_are_gone() {
    for db in testing::databases().await {
        let (ada, bob) = (testing::user(&db, "ada@example.org").await, testing::user(&db, "bob@example.org").await);
        let now = Clock::system().now();
        claimed(&db, &key(ada, "old", "one"), now, 1).await;
        let later = now + KEPT;
        claimed(&db, &key(ada, "new", "one"), later, 2).await;
        claimed(&db, &key(bob, "new", "one"), later, 3).await;

        let mut tx = db.begin().await.expect("begins");
        assert_eq!(sweep(&mut tx, later).await.expect("sweeps"), 1);
        assert_eq!(sweep(&mut tx, later).await.expect("sweeps"), 0);
        erase(&mut tx, ada).await.expect("erases");
        tx.commit().await.expect("commits");

        assert_eq!(claimed(&db, &key(ada, "new", "two"), later, 4).await, Claim::First);
        assert_eq!(claimed(&db, &key(bob, "new", "two"), later, 5).await, Claim::Mismatch, "Bob's is kept");
    }
}
