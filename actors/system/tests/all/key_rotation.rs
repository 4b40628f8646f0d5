//! Keys are changed on each database, in one go, halfway, and beside those who write.

use std::collections::BTreeMap;

use faceofmind_db::with_conn;
use sqlx::AssertSqlSafe;

use super::*;
use crate::support;
use faceofmind_domain::sessions::voice_aad;
use faceofmind_model::session::DetectionId;
use faceofmind_model::user::UserId;
use faceofmind_platform::idempotency::{Answer, Claim, Key, claim, settle};

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

fn said(number: i64) -> String {
    format!("I said this, number {number}")
}

/// So many texts, every tenth of them not sealed.
async fn voices(db: &Database, user: UserId, number: i64) {
    let mut tx = db.begin().await.expect("begins");
    let insert = "INSERT INTO sessions (user_id, start_time) VALUES ($1, $2) RETURNING id";
    let moment = faceofmind_base::Timestamp::from_micros(0);
    let (session,): (i64,) =
        with_conn!(tx.connection(), c => sqlx::query_as(insert).bind(user).bind(moment).fetch_one(c).await)
            .expect("inserts");
    for number in 0..number {
        let insert = "INSERT INTO emotion_detections (session_id, timestamp) VALUES ($1, $2) RETURNING id";
        let (detection,): (DetectionId,) =
            with_conn!(tx.connection(), c => sqlx::query_as(insert).bind(session).bind(moment).fetch_one(c).await)
                .expect("inserts");
        let plain = said(detection.0);
        let stored = if number % 10 == 0 { plain } else { old().seal(&voice_aad(detection), &plain).expect("seals") };
        let insert = "INSERT INTO voice_data (detection_id, content) VALUES ($1, $2)";
        with_conn!(tx.connection(), c => sqlx::query(insert).bind(detection).bind(stored).execute(c).await.map(drop))
            .expect("inserts");
    }
    tx.commit().await.expect("commits");
}

fn key(user: UserId, number: usize) -> Key {
    Key::of(user, "POST /api/v1/sessions/", format!("key {number}"), b"{}")
}

fn answer(number: usize) -> Answer {
    Answer { status: 201, body: format!("answer {number}") }
}

async fn answers(db: &Database, user: UserId, number: usize) {
    let now = faceofmind_base::Clock::system().now();
    let mut tx = db.begin().await.expect("begins");
    for number in 0..number {
        claim(&mut tx, &old(), &key(user, number), now).await.expect("claims");
        settle(&mut tx, &old(), &key(user, number), &answer(number)).await.expect("settles");
    }
    tx.commit().await.expect("commits");
}

async fn by_key(db: &Database, keyring: &Keyring) -> Vec<BTreeMap<Option<String>, u64>> {
    let tallies = status(db, keyring).await.expect("looks");
    tallies.into_iter().map(|(_, tally)| tally.by_key).collect()
}

async fn run(db: &Database, sql: &str) {
    let mut tx = db.begin().await.expect("begins");
    let sql = AssertSqlSafe(sql.to_owned());
    with_conn!(tx.connection(), c => sqlx::query(sql).execute(c).await.map(drop)).expect("runs");
    tx.commit().await.expect("commits");
}

/// Every text opens with the new key alone, and says what it said.
async fn all_is_there(db: &Database, voices: usize) {
    let mut reader = db.read_conn().await.expect("reads");
    let rows: Vec<(DetectionId, String)> = with_conn!(reader.connection(), c =>
        sqlx::query_as("SELECT detection_id, content FROM voice_data").fetch_all(c).await)
    .expect("reads");
    assert_eq!(rows.len(), voices);
    let new = keyring(&[("k2", 2)]);
    for (detection, stored) in rows {
        assert!(new.is_current(&stored));
        assert_eq!(new.open(&voice_aad(detection), &stored).expect("opens"), said(detection.0));
    }
}

#[tokio::test]
async fn after_a_rotation_the_new_key_alone_opens_everything() {
    for db in faceofmind_testing::databases().await {
        let ada = faceofmind_testing::user(&db, "ada@example.org").await;
        voices(&db, ada, 450).await;
        answers(&db, ada, 230).await;
        let before =
            [BTreeMap::from([(None, 45), (Some("k1".into()), 405)]), BTreeMap::from([(Some("k1".into()), 230)])];
        assert_eq!(by_key(&db, &both()).await, before);

        let mut told = Vec::new();
        rotate(&db, &both(), |kind, tally| told.push((kind, tally.seen, tally.renewed))).await.expect("rotates");
        let pages = [200, 400, 450].map(|seen| (Kind::VoiceTexts, seen, seen));
        let pages = pages.into_iter().chain([200, 230].map(|seen| (Kind::KeptAnswers, seen, seen)));
        assert_eq!(told, pages.collect::<Vec<_>>());

        let after = [BTreeMap::from([(Some("k2".into()), 450)]), BTreeMap::from([(Some("k2".into()), 230)])];
        assert_eq!(by_key(&db, &both()).await, after);
        all_is_there(&db, 450).await;
        let mut tx = db.begin().await.expect("begins");
        let now = faceofmind_base::Clock::system().now();
        let again = claim(&mut tx, &keyring(&[("k2", 2)]), &key(ada, 7), now).await.expect("opens");
        assert_eq!(again, Claim::Again(answer(7)));
        drop(tx);
        rotate(&db, &both(), |_, tally| assert_eq!(tally.renewed, 0)).await.expect("there is nothing left to do");
        db.close().await;
    }
}

#[tokio::test]
async fn a_rotation_that_dies_after_a_page_keeps_it_and_the_next_does_the_rest() {
    for db in faceofmind_testing::databases().await {
        let ada = faceofmind_testing::user(&db, "ada@example.org").await;
        voices(&db, ada, 450).await;
        let (of, keys) = (db.clone(), both());
        let dying = tokio::spawn(async move {
            rotate(&of, &keys, |_, tally| assert!(tally.seen < 400, "a death of the test's choice")).await
        });
        assert!(dying.await.is_err_and(|error| error.is_panic()));
        assert_eq!(by_key(&db, &both()).await[0][&Some("k2".to_owned())], 400);
        rotate(&db, &both(), |_, _| ()).await.expect("rotates");
        all_is_there(&db, 450).await;
        db.close().await;
    }
}

#[tokio::test]
async fn what_no_key_opens_stays_as_it_is_and_holds_nothing_up() {
    for db in faceofmind_testing::databases().await {
        let ada = faceofmind_testing::user(&db, "ada@example.org").await;
        voices(&db, ada, 20).await;
        run(&db, "UPDATE voice_data SET content = 'sealed:v1:k0:AAAA' WHERE id = 3").await;
        run(&db, "UPDATE voice_data SET content = 'sealed:v1:k1:AAAA' WHERE id = 4").await;
        let mut unreadable = 0;
        rotate(&db, &both(), |_, tally| unreadable = tally.unreadable.max(unreadable)).await.expect("rotates");
        assert_eq!(unreadable, 2);
        let left = BTreeMap::from([(Some("k0".into()), 1), (Some("k1".into()), 1), (Some("k2".into()), 18)]);
        assert_eq!(by_key(&db, &both()).await[0], left);
        db.close().await;
    }
}

#[tokio::test]
async fn who_deletes_a_text_waits_for_no_rotation_in_a_circle() {
    for db in faceofmind_testing::databases().await {
        let (ada, bob) = (
            faceofmind_testing::user(&db, "ada@example.org").await,
            faceofmind_testing::user(&db, "bob@example.org").await,
        );
        voices(&db, ada, 300).await;
        voices(&db, bob, 300).await;
        let of = db.clone();
        let erasing = tokio::spawn(async move {
            let mut tx = of.begin().await?;
            sessions::erase(&mut tx, ada).await?;
            Ok(tx.commit().await?)
        });
        rotate(&db, &both(), |_, _| ()).await.expect("rotates");
        erasing.await.expect("no panic").expect("erases");
        rotate(&db, &both(), |_, _| ()).await.expect("rotates");
        all_is_there(&db, 300).await;
        db.close().await;
    }
}
