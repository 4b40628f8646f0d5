use faceofmind_base::Clock;
use faceofmind_db::Database;

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
    let claim = claim(&mut tx, &testing::keyring(), key, now).await.expect("claims");
    if claim == Claim::First {
        settle(&mut tx, &testing::keyring(), key, &answer(id)).await.expect("settles");
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
        assert_eq!(
            claim(&mut tx, &testing::keyring(), &key(user, "k", "one"), now).await.expect("claims"),
            Claim::First
        );
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

#[tokio::test]
async fn an_answer_rests_sealed_at_its_place_and_without_its_key_nobody_reads_it() {
    for db in testing::databases().await {
        let (user, now) = (testing::user(&db, "ada@example.org").await, Clock::system().now());
        claimed(&db, &key(user, "k", "{}"), now, 4711).await;
        let stored = stored(&db).await;
        assert!(stored[0].starts_with("sealed:v1:test:") && !stored[0].contains("4711"), "{stored:?}");
        let other = Keyring::new([("other", [1; 32].as_slice())]).expect("a key");
        let mut tx = db.begin().await.expect("begins");
        let lost = claim(&mut tx, &other, &key(user, "k", "{}"), now).await.expect_err("cannot be opened");
        assert!(lost.is_transient() && lost.to_string().contains("sealed with `test`"), "{lost}");
    }
}

#[tokio::test]
async fn many_keys_are_settled_together_and_those_of_which_nothing_came_are_given_back() {
    for db in testing::databases().await {
        let (user, now) = (testing::user(&db, "ada@example.org").await, Clock::system().now());
        let keys: Vec<_> = ["a", "b", "c", "d", "e"].map(|word| key(user, word, "{}")).into();
        let mut tx = db.begin().await.expect("begins");
        for key in &keys {
            assert_eq!(claim(&mut tx, &testing::keyring(), key, now).await.expect("claims"), Claim::First);
        }
        let answers: Vec<_> = keys[..3].iter().zip(1..).map(|(key, id)| (key, answer(id))).collect();
        settle_all(&mut tx, &testing::keyring(), &answers).await.expect("settles");
        release_all(&mut tx, &keys[3..].iter().collect::<Vec<_>>()).await.expect("gives back");
        tx.commit().await.expect("commits");
        for (key, id) in keys.iter().zip(1..=3) {
            let kept = answered(&db, &testing::keyring(), key, now).await.expect("reads");
            assert_eq!(kept, Some(Claim::Again(answer(id))));
        }
        assert_eq!(answered(&db, &testing::keyring(), &keys[3], now).await.expect("reads"), None);
        assert_eq!(claimed(&db, &keys[4], now, 9).await, Claim::First);
        assert_eq!(answered(&db, &testing::keyring(), &keys[0], now + KEPT).await.expect("reads"), None, "too old");
    }
}

async fn stored(db: &Database) -> Vec<String> {
    let sql = "SELECT answer FROM idempotency_keys";
    let mut reader = db.read_conn().await.expect("reads");
    let rows: Vec<(String,)> =
        with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_all(c).await).expect("reads");
    rows.into_iter().map(|(answer,)| answer).collect()
}
