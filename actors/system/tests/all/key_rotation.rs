//! Key rotation on each database: in one go, interrupted, and beside concurrent writes.

use std::collections::BTreeMap;

use faceofmind_base::{Clock, Timestamp};
use faceofmind_db::{Database, with_conn};
use faceofmind_domain::sessions::{self, voice_aad};
use faceofmind_model::{
    UserId,
    session::{DetectionId, SessionId},
};
use faceofmind_platform::{
    encryption::Keyring,
    idempotency::{ClaimResult, IdempotencyKey, StoredResponse, claim, store_response},
};
use faceofmind_system::key_rotation::{rotate, status};
use faceofmind_testing::{databases, user};
use sqlx::AssertSqlSafe;

fn keyring(keys: &[(&str, u8)]) -> Keyring {
    let bytes: Vec<_> = keys.iter().map(|&(id, byte)| (id, [byte; 32])).collect();
    Keyring::new(bytes.iter().map(|(id, bytes)| (*id, bytes.as_slice()))).expect("keys")
}

fn old() -> Keyring {
    keyring(&[("k1", 1)])
}

fn both() -> Keyring {
    keyring(&[("k2", 2), ("k1", 1)])
}

fn voice_text(number: i64) -> String {
    format!("I said this, number {number}")
}

/// Stores `number` texts. Every tenth of them is not encrypted.
async fn store_voices(db: &Database, user: UserId, number: i64) {
    let mut tx = db.begin().await.expect("begins");
    let insert = "INSERT INTO sessions (user_id, start_time) VALUES ($1, $2) RETURNING id";
    let moment = Timestamp::from_micros(0);
    let (session,): (SessionId,) =
        with_conn!(tx.connection(), c => sqlx::query_as(insert).bind(user).bind(moment).fetch_one(c).await)
            .expect("inserts");
    for number in 0..number {
        let insert = "INSERT INTO emotion_detections (session_id, timestamp) VALUES ($1, $2) RETURNING id";
        let (detection,): (DetectionId,) =
            with_conn!(tx.connection(), c => sqlx::query_as(insert).bind(session).bind(moment).fetch_one(c).await)
                .expect("inserts");
        let plain = voice_text(detection.0);
        let stored =
            if number % 10 == 0 { plain } else { old().encrypt(&voice_aad(detection), &plain).expect("encrypts") };
        let insert = "INSERT INTO voice_data (detection_id, content) VALUES ($1, $2)";
        with_conn!(tx.connection(), c => sqlx::query(insert).bind(detection).bind(stored).execute(c).await.map(drop))
            .expect("inserts");
    }
    tx.commit().await.expect("commits");
}

fn key(user: UserId, number: usize) -> IdempotencyKey {
    IdempotencyKey::new(user, "POST /api/v1/sessions/", format!("key {number}"), b"{}")
}

fn response(number: usize) -> StoredResponse {
    StoredResponse { status: 201, body: format!("response {number}") }
}

async fn store_responses(db: &Database, user: UserId, number: usize) {
    let now = Clock::system().now();
    let mut tx = db.begin().await.expect("begins");
    for number in 0..number {
        claim(&mut tx, &old(), &key(user, number), now).await.expect("claims");
        store_response(&mut tx, &old(), &key(user, number), &response(number)).await.expect("stores");
    }
    tx.commit().await.expect("commits");
}

async fn by_key(db: &Database, keyring: &Keyring) -> Vec<BTreeMap<Option<String>, u64>> {
    let kinds = status(db, keyring).await.expect("counts");
    kinds.into_iter().map(|(_, stats)| stats.by_key).collect()
}

async fn run(db: &Database, sql: &str) {
    let mut tx = db.begin().await.expect("begins");
    let sql = AssertSqlSafe(sql.to_owned());
    with_conn!(tx.connection(), c => sqlx::query(sql).execute(c).await.map(drop)).expect("runs");
    tx.commit().await.expect("commits");
}

/// Expects that the new key alone decrypts every voice text.
async fn expect_all_rotated(db: &Database, voices: usize) {
    let mut reader = db.read_conn().await.expect("reads");
    let rows: Vec<(DetectionId, String)> = with_conn!(reader.connection(), c =>
        sqlx::query_as("SELECT detection_id, content FROM voice_data").fetch_all(c).await)
    .expect("reads");
    assert_eq!(rows.len(), voices);
    let new = keyring(&[("k2", 2)]);
    for (detection, stored) in rows {
        assert!(new.is_current(&stored));
        assert_eq!(new.decrypt(&voice_aad(detection), &stored).expect("decrypts"), voice_text(detection.0));
    }
}

#[tokio::test]
async fn after_a_rotation_the_new_key_alone_decrypts_everything() {
    for db in databases().await {
        let ada = user(&db, "ada@example.org").await;
        store_voices(&db, ada, 450).await;
        store_responses(&db, ada, 230).await;
        let before =
            [BTreeMap::from([(None, 45), (Some("k1".into()), 405)]), BTreeMap::from([(Some("k1".into()), 230)])];
        assert_eq!(by_key(&db, &both()).await, before);

        let mut progress = Vec::new();
        rotate(&db, &both(), |kind, stats| progress.push((kind, stats.seen, stats.rewritten))).await.expect("rotates");
        let pages = [200, 400, 450].map(|seen| ("voice texts", seen, seen));
        let pages = pages.into_iter().chain([200, 230].map(|seen| ("stored responses", seen, seen)));
        assert_eq!(progress, pages.collect::<Vec<_>>());

        let after = [BTreeMap::from([(Some("k2".into()), 450)]), BTreeMap::from([(Some("k2".into()), 230)])];
        assert_eq!(by_key(&db, &both()).await, after);
        expect_all_rotated(&db, 450).await;
        let mut tx = db.begin().await.expect("begins");
        let now = Clock::system().now();
        let again = claim(&mut tx, &keyring(&[("k2", 2)]), &key(ada, 7), now).await.expect("decrypts");
        assert_eq!(again, ClaimResult::Replay(response(7)));
        drop(tx);
        rotate(&db, &both(), |_, stats| assert_eq!(stats.rewritten, 0)).await.expect("there is nothing left to do");
        db.close().await;
    }
}

#[tokio::test]
async fn an_interrupted_rotation_keeps_its_pages_and_the_next_does_the_rest() {
    for db in databases().await {
        let ada = user(&db, "ada@example.org").await;
        store_voices(&db, ada, 450).await;
        let (own_db, keys) = (db.clone(), both());
        let dying = tokio::spawn(async move {
            rotate(&own_db, &keys, |_, stats| assert!(stats.seen < 400, "the test interrupts here")).await
        });
        assert!(dying.await.is_err_and(|error| error.is_panic()));
        assert_eq!(by_key(&db, &both()).await[0][&Some("k2".to_owned())], 400);
        rotate(&db, &both(), |_, _| ()).await.expect("rotates");
        expect_all_rotated(&db, 450).await;
        db.close().await;
    }
}

#[tokio::test]
async fn a_text_that_no_key_decrypts_stays_as_it_is_and_does_not_stop_the_rotation() {
    for db in databases().await {
        let ada = user(&db, "ada@example.org").await;
        store_voices(&db, ada, 20).await;
        run(&db, "UPDATE voice_data SET content = 'sealed:v1:k0:AAAA' WHERE id = 3").await;
        run(&db, "UPDATE voice_data SET content = 'sealed:v1:k1:AAAA' WHERE id = 4").await;
        let mut unreadable = 0;
        rotate(&db, &both(), |_, stats| unreadable = stats.unreadable.max(unreadable)).await.expect("rotates");
        assert_eq!(unreadable, 2);
        let left = BTreeMap::from([(Some("k0".into()), 1), (Some("k1".into()), 1), (Some("k2".into()), 18)]);
        assert_eq!(by_key(&db, &both()).await[0], left);
        db.close().await;
    }
}

#[tokio::test]
async fn a_rotation_and_an_erasure_do_not_deadlock() {
    for db in databases().await {
        let (ada, bob) = (user(&db, "ada@example.org").await, user(&db, "bob@example.org").await);
        store_voices(&db, ada, 300).await;
        store_voices(&db, bob, 300).await;
        let own_db = db.clone();
        let erasing = tokio::spawn(async move {
            let mut tx = own_db.begin().await.expect("begins");
            sessions::erase(&mut tx, ada, 1000).await.expect("erases");
            tx.commit().await
        });
        rotate(&db, &both(), |_, _| ()).await.expect("rotates");
        erasing.await.expect("no panic").expect("commits");
        rotate(&db, &both(), |_, _| ()).await.expect("rotates");
        expect_all_rotated(&db, 300).await;
        db.close().await;
    }
}
