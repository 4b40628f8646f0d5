use faceofmind_base::Clock;
use faceofmind_db::Database;

use super::*;
use crate::testing;

const ENDPOINT: &str = "POST /api/v1/posts/";

fn key(user: UserId, key: &str, body: &str) -> IdempotencyKey {
    IdempotencyKey::new(user, ENDPOINT, key, body.as_bytes())
}

fn response(id: i64) -> StoredResponse {
    StoredResponse { status: 201, body: serde_json::json!({ "id": id }).to_string() }
}

/// Claims the key, and stores `response(id)` if it is new, in one transaction.
async fn claimed(db: &Database, key: &IdempotencyKey, now: Timestamp, id: i64) -> ClaimResult {
    let mut tx = db.begin().await.expect("begins");
    let claim = claim(&mut tx, &testing::keyring(), key, now).await.expect("claims");
    if claim == ClaimResult::New {
        store_response(&mut tx, &testing::keyring(), key, &response(id)).await.expect("stores");
    }
    tx.commit().await.expect("commits");
    claim
}

#[tokio::test]
async fn the_same_key_and_body_get_the_first_response_again() {
    for db in testing::databases().await {
        let (user, now) = (testing::user(&db, "ada@example.org").await, Clock::system().now());
        assert_eq!(claimed(&db, &key(user, "k", "{}"), now, 1).await, ClaimResult::New);
        assert_eq!(claimed(&db, &key(user, "k", "{}"), now, 2).await, ClaimResult::Replay(response(1)));
        assert_eq!(claimed(&db, &key(user, "k", "{ }"), now, 3).await, ClaimResult::Conflict);
    }
}

#[tokio::test]
async fn a_key_belongs_to_its_user_and_endpoint() {
    for db in testing::databases().await {
        let (ada, bob) = (testing::user(&db, "ada@example.org").await, testing::user(&db, "bob@example.org").await);
        let now = Clock::system().now();
        let elsewhere = IdempotencyKey { endpoint: "POST /api/v1/reminders/".into(), ..key(ada, "k", "{}") };
        for other in [key(ada, "k", "{}"), key(bob, "k", "{}"), elsewhere, key(ada, "K", "{}")] {
            assert_eq!(claimed(&db, &other, now, 1).await, ClaimResult::New, "{other:?}");
        }
    }
}

#[tokio::test]
async fn after_a_day_a_key_is_new() {
    for db in testing::databases().await {
        let (user, now) = (testing::user(&db, "ada@example.org").await, Clock::system().now());
        claimed(&db, &key(user, "k", "one"), now, 1).await;
        let almost = now + RETENTION - Duration::from_secs(1);
        assert_eq!(claimed(&db, &key(user, "k", "two"), almost, 2).await, ClaimResult::Conflict);
        assert_eq!(claimed(&db, &key(user, "k", "two"), now + RETENTION, 2).await, ClaimResult::New);
        assert_eq!(claimed(&db, &key(user, "k", "two"), now + RETENTION, 3).await, ClaimResult::Replay(response(2)));
    }
}

#[tokio::test]
async fn a_rolled_back_claim_leaves_the_key_new() {
    for db in testing::databases().await {
        let (user, now) = (testing::user(&db, "ada@example.org").await, Clock::system().now());
        let mut tx = db.begin().await.expect("begins");
        assert_eq!(
            claim(&mut tx, &testing::keyring(), &key(user, "k", "one"), now).await.expect("claims"),
            ClaimResult::New
        );
        tx.rollback().await.expect("rolls back");
        assert_eq!(claimed(&db, &key(user, "k", "two"), now, 1).await, ClaimResult::New);
    }
}

#[tokio::test]
async fn of_parallel_claims_one_is_new_and_the_others_wait_for_its_response() {
    for db in testing::databases().await {
        let (user, now) = (testing::user(&db, "ada@example.org").await, Clock::system().now());
        let claims = (0..20).map(|id| {
            let db = db.clone();
            tokio::spawn(async move { claimed(&db, &key(user, "k", "{}"), now, id).await })
        });
        let mut responses = Vec::new();
        let mut firsts = 0;
        for claim in claims.collect::<Vec<_>>() {
            match claim.await.expect("no panic") {
                ClaimResult::New => firsts += 1,
                ClaimResult::Replay(response) => responses.push(response.body),
                ClaimResult::Conflict => panic!("one body"),
            }
        }
        responses.dedup();
        assert_eq!((firsts, responses.len()), (1, 1), "{responses:?}");
    }
}

#[tokio::test]
async fn old_keys_are_swept_and_an_erased_users_keys_are_gone() {
    for db in testing::databases().await {
        let (ada, bob) = (testing::user(&db, "ada@example.org").await, testing::user(&db, "bob@example.org").await);
        let now = Clock::system().now();
        claimed(&db, &key(ada, "old", "one"), now, 1).await;
        let later = now + RETENTION;
        claimed(&db, &key(ada, "new", "one"), later, 2).await;
        claimed(&db, &key(bob, "new", "one"), later, 3).await;

        let mut tx = db.begin().await.expect("begins");
        assert_eq!(sweep(&mut tx, later).await.expect("sweeps"), 1);
        assert_eq!(sweep(&mut tx, later).await.expect("sweeps"), 0);
        erase(&mut tx, ada).await.expect("erases");
        tx.commit().await.expect("commits");

        assert_eq!(claimed(&db, &key(ada, "new", "two"), later, 4).await, ClaimResult::New);
        assert_eq!(claimed(&db, &key(bob, "new", "two"), later, 5).await, ClaimResult::Conflict, "Bob's is kept");
    }
}

#[tokio::test]
async fn a_response_is_stored_encrypted_and_is_lost_with_its_key() {
    for db in testing::databases().await {
        let (user, now) = (testing::user(&db, "ada@example.org").await, Clock::system().now());
        claimed(&db, &key(user, "k", "{}"), now, 4711).await;
        let stored = stored(&db).await;
        assert!(stored[0].starts_with("sealed:v1:test:") && !stored[0].contains("4711"), "{stored:?}");
        let other = Keyring::new([("other", [1; 32].as_slice())]).expect("a key");
        let mut tx = db.begin().await.expect("begins");
        let lost = claim(&mut tx, &other, &key(user, "k", "{}"), now).await.expect_err("cannot be decrypted");
        assert!(matches!(&lost, StoreError::Corrupt(what) if what.contains("encrypted with `test`")), "{lost}");
    }
}

#[tokio::test]
async fn the_responses_of_a_batch_are_stored_together_and_keys_of_refused_requests_are_released() {
    for db in testing::databases().await {
        let (user, now) = (testing::user(&db, "ada@example.org").await, Clock::system().now());
        let keys: Vec<_> = ["a", "b", "c", "d", "e"].map(|word| key(user, word, "{}")).into();
        let mut tx = db.begin().await.expect("begins");
        for key in &keys {
            assert_eq!(claim(&mut tx, &testing::keyring(), key, now).await.expect("claims"), ClaimResult::New);
        }
        let responses: Vec<_> = keys[..3].iter().zip(1..).map(|(key, id)| (key, response(id))).collect();
        store_responses(&mut tx, &testing::keyring(), &responses).await.expect("stores");
        release_all(&mut tx, &keys[3..].iter().collect::<Vec<_>>()).await.expect("releases");
        tx.commit().await.expect("commits");
        for (key, id) in keys.iter().zip(1..=3) {
            let found = look_up(&db, &testing::keyring(), key, now).await.expect("reads");
            assert_eq!(found, Some(ClaimResult::Replay(response(id))));
        }
        assert_eq!(look_up(&db, &testing::keyring(), &keys[3], now).await.expect("reads"), None);
        assert_eq!(claimed(&db, &keys[4], now, 9).await, ClaimResult::New);
        assert_eq!(look_up(&db, &testing::keyring(), &keys[0], now + RETENTION).await.expect("reads"), None, "too old");
    }
}

async fn stored(db: &Database) -> Vec<String> {
    let sql = "SELECT answer FROM idempotency_keys";
    let mut reader = db.read_conn().await.expect("reads");
    let rows: Vec<(String,)> =
        with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_all(c).await).expect("reads");
    rows.into_iter().map(|(answer,)| answer).collect()
}
