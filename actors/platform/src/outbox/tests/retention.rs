//! How long published events stay in the outbox. Against a real nats-server.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

async fn set_age(db: &Database, position: i64, age: Duration) {
    let update = "UPDATE events SET published_at = $2 WHERE position = $1";
    let mut tx = db.begin().await.expect("begins");
    let published_at = Clock::system().now() - age;
    with_conn!(tx.connection(), c => sqlx::query(update).bind(position).bind(published_at).execute(c).await.map(drop))
        .expect("runs");
    tx.commit().await.expect("commits");
}

/// Asserts that a sweep deletes the events that are older than `kept`, and no others.
async fn assert_kept(db: &Database, settings: Settings, nats: Option<NatsConnection>, kept: Duration) {
    let ids = record_sessions(db, 0..3).await;
    publish_all(db).await;
    set_age(db, 2, kept - MINUTE).await;
    set_age(db, 1, kept + MINUTE).await;
    let node = Node::start(db, Settings { sweep_interval: Duration::from_millis(5), ..settings }, nats).await;
    testing::until("the sweep has deleted something", async || rows(db).await.len() < 3).await;
    let left: Vec<_> = rows(db).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(left, ids[1..]);
    node.stop().await;
}

#[tokio::test]
async fn the_outbox_keeps_an_event_at_least_as_long_as_the_stream_does() {
    for (retention, max_age) in [(HOUR, 3 * HOUR), (3 * HOUR, HOUR)] {
        let stream = StreamSettings { max_age, ..StreamSettings::default() };
        let settings = Settings { retention, stream, ..Settings::default() };
        for db in testing::databases().await {
            let account = testing::nats_account().await;
            let nats = testing::connect_nats(account.url(&account.server)).await;
            assert_kept(&db, settings, Some(nats), 3 * HOUR).await;
        }
        for db in testing::databases().await {
            assert_kept(&db, settings, None, retention).await;
        }
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_gives_no_earlier_time_to_a_later_position() {
    for db in testing::databases().await {
        let now = Clock::system().now();
        for ago in [Duration::ZERO, MINUTE] {
            record_sessions(&db, 0..1).await;
            let pending = store::pending::page(&db, 10, &[], Kinds::All).await.expect("reads");
            let mut tx = db.begin().await.expect("begins");
            store::pending::assign_positions(&mut tx, pending, now - ago).await.expect("assigns");
            tx.commit().await.expect("commits");
        }
        assert_eq!(store::published::position_at(&db, now).await.expect("finds"), 0);
    }
}

#[tokio::test]
async fn the_position_at_a_time_is_found_whatever_positions_are_left() {
    for db in testing::databases().await {
        assert_eq!(store::published::position_at(&db, Clock::system().now()).await.expect("of none"), 0);
        record_sessions(&db, 0..5).await;
        publish_all(&db).await;
        for position in 1..=5_u32 {
            set_age(&db, position.into(), HOUR * (6 - position)).await;
        }
        testing::run(&db, "UPDATE events SET position = 100 + position * position").await;
        for (hours, position) in [(0, 125), (1, 116), (2, 109), (3, 104), (4, 101), (5, 100), (9, 100)] {
            let since = Clock::system().now() - HOUR * hours - MINUTE * 30;
            assert_eq!(store::published::position_at(&db, since).await.expect("finds"), position, "{hours} hours ago");
        }
    }
}
