//! Who listens misses nothing, or is told what.

use futures_util::FutureExt as _;

use super::*;

async fn next(feed: &mut Feed) -> Told {
    tokio::time::timeout(Duration::from_secs(10), feed.next()).await.expect("it comes").expect("it can be read")
}

/// The sessions that the next `count` events tell of.
async fn sessions_in(feed: &mut Feed, count: usize) -> Vec<i64> {
    let mut sessions = Vec::new();
    for _ in 0..count {
        let Told::Event(event) = next(feed).await else { panic!("a gap") };
        let envelope: Value = serde_json::from_str(&event.envelope).expect("JSON");
        sessions.extend(envelope["data"]["session_id"].as_i64());
    }
    sessions
}

#[tokio::test]
async fn a_listener_who_falls_behind_misses_nothing() {
    for db in testing::databases().await {
        let office = Office::open(&db, Settings { bus_capacity: 4, ..Settings::default() }, None).await;
        record_sessions(&db, 0..3).await;
        let mut from_the_beginning = office.publisher.feed(ADA, Some(ADA), Some(0)).await.expect("a feed");
        office.publisher.wake();
        assert_eq!(sessions_in(&mut from_the_beginning, 3).await, [0, 1, 2]);
        let mut bus = office.publisher.subscribe();
        record_sessions(&db, 3..400).await;
        office.publisher.wake();
        testing::until("the bus has dropped some", async || bus.recv().await.is_err()).await;
        assert_eq!(sessions_in(&mut from_the_beginning, 397).await, (3..400).collect::<Vec<_>>());
        office.close().await;
    }
}

#[tokio::test]
async fn who_listens_from_now_on_hears_nothing_older_and_nothing_of_others() {
    for db in testing::databases().await {
        let office = Office::open(&db, Settings::default(), None).await;
        record_sessions(&db, 0..2).await;
        office.publisher.wake();
        testing::until("they are published", async || rows(&db).await.iter().all(|row| row.1.is_some())).await;
        let mut feed = office.publisher.feed(ADA, Some(ADA), None).await.expect("a feed");
        let mut tx = db.begin().await.expect("begins");
        record_many(&mut tx, &[sealed(started(BOB, 7)), sealed(started(ADA, 8))]).await.expect("records");
        tx.commit().await.expect("commits");
        office.publisher.wake();
        assert_eq!(sessions_in(&mut feed, 1).await, [8]);
        assert_eq!(feed.position(), 4, "what concerns others is behind it too");
        office.close().await;
    }
}

/// A publisher that is not at work: what is published is what the story marks.
fn idle(db: &Database) -> Publisher {
    Publisher::new(Settings::default(), db.clone(), None, Clock::system(), Rng::system()).0
}

async fn sweep_all_but_the_last(db: &Database) {
    sweep(db, Clock::system().now() + Duration::from_secs(60)).await.expect("sweeps");
}

#[tokio::test]
async fn a_listener_whom_the_sweep_overtakes_is_told_of_the_gap() {
    for db in testing::databases().await {
        let publisher = idle(&db);
        record_sessions(&db, 0..600).await;
        mark_all(&db).await;
        let mut feed = publisher.feed(ADA, Some(ADA), Some(0)).await.expect("a feed");
        assert_eq!(sessions_in(&mut feed, 1).await, [0]);
        sweep_all_but_the_last(&db).await;
        assert_eq!(sessions_in(&mut feed, 255).await, (1..256).collect::<Vec<_>>(), "what was read before");
        assert_eq!(next(&mut feed).await, Told::Gap { after: 256, from: 600 });
        assert_eq!(feed.position(), 599);
        assert_eq!(sessions_in(&mut feed, 1).await, [599]);
    }
}

#[tokio::test]
async fn who_has_read_all_of_their_own_is_behind_what_concerns_others() {
    for db in testing::databases().await {
        let publisher = idle(&db);
        let mut tx = db.begin().await.expect("begins");
        let told = [started(ADA, 1), started(BOB, 2), started(BOB, 3)].map(sealed);
        record_many(&mut tx, &told).await.expect("records");
        tx.commit().await.expect("commits");
        mark_all(&db).await;
        let mut feed = publisher.feed(ADA, Some(ADA), Some(0)).await.expect("a feed");
        assert_eq!(sessions_in(&mut feed, 1).await, [1]);
        assert!(feed.next().now_or_never().is_none(), "it waits");
        assert_eq!(feed.position(), 3);
        sweep_all_but_the_last(&db).await;
        record_sessions(&db, 4..5).await;
        mark_all(&db).await;
        let mut resumed = publisher.feed(ADA, Some(ADA), Some(feed.position())).await.expect("a feed");
        assert_eq!(sessions_in(&mut resumed, 1).await, [4], "and no gap");
    }
}
