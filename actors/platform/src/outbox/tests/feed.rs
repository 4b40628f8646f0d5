//! A feed has no gaps, or reports them.

use faceofmind_runtime::Caller;
use futures_util::FutureExt as _;

use super::*;

async fn next(feed: &mut Feed) -> FeedItem {
    tokio::time::timeout(Duration::from_secs(10), feed.next()).await.expect("it comes").expect("it can be read")
}

/// Returns the sessions that the next `count` events are about.
async fn sessions_in(feed: &mut Feed, count: usize) -> Vec<i64> {
    let mut sessions = Vec::new();
    for _ in 0..count {
        let FeedItem::Event(event) = next(feed).await else { panic!("a gap") };
        let envelope: Value = serde_json::from_str(&event.envelope).expect("JSON");
        sessions.extend(envelope["data"]["session_id"].as_i64());
    }
    sessions
}

#[tokio::test]
async fn a_feed_that_lags_behind_the_bus_misses_nothing() {
    for db in testing::databases().await {
        let node = Node::start(&db, Settings { bus_capacity: 4, ..Settings::default() }, None).await;
        record_sessions(&db, 0..3).await;
        let mut from_the_start = node.bus.feed(Caller::alone("ada"), Some(ADA), Some(0)).await.expect("a feed");
        node.publisher.tell(Wake);
        assert_eq!(sessions_in(&mut from_the_start, 3).await, [0, 1, 2]);
        let mut bus = node.bus.subscribe();
        record_sessions(&db, 3..400).await;
        node.publisher.tell(Wake);
        testing::until("the bus has dropped some", async || bus.recv().await.is_err()).await;
        assert_eq!(sessions_in(&mut from_the_start, 397).await, (3..400).collect::<Vec<_>>());
        node.stop().await;
    }
}

#[tokio::test]
async fn a_feed_from_now_on_has_no_older_events_and_none_of_others() {
    for db in testing::databases().await {
        let node = Node::start(&db, Settings::default(), None).await;
        record_sessions(&db, 0..2).await;
        node.publisher.tell(Wake);
        testing::until("they are published", async || all_published(&db).await).await;
        let mut feed = node.bus.feed(Caller::alone("ada"), Some(ADA), None).await.expect("a feed");
        let mut tx = db.begin().await.expect("begins");
        record_many(&mut tx, &[cloud_event(started(BOB, 7)), cloud_event(started(ADA, 8))]).await.expect("records");
        tx.commit().await.expect("commits");
        node.publisher.tell(Wake);
        assert_eq!(sessions_in(&mut feed, 1).await, [8]);
        assert_eq!(feed.position(), 4, "the feed has passed the events of others too");
        node.stop().await;
    }
}

#[tokio::test]
async fn events_that_cannot_be_decoded_hide_no_others() {
    for db in testing::databases().await {
        let bus = EventBus::new(&Settings::default(), db.clone());
        bus.init().await.expect("reads");
        let mut tail = EventTail::of_outbox(db.clone(), SubjectPattern::default(), None).await.expect("follows");
        let mut subscriber = bus.subscribe();
        record_sessions(&db, 1..601).await;
        publish_all(&db).await;
        // One in the first page, and the whole second page.
        let mut tx = db.begin().await.expect("begins");
        let sql = "UPDATE events SET envelope = '{}' WHERE position = 5 OR position BETWEEN 257 AND 512";
        with_conn!(tx.connection(), c => sqlx::query(sql).execute(c).await.map(drop)).expect("writes");
        tx.commit().await.expect("commits");
        let expected: Vec<i64> = (1..601).filter(|at| *at != 5 && !(257..=512).contains(at)).collect();

        let mut feed = bus.feed(Caller::alone("ada"), Some(ADA), Some(0)).await.expect("a feed");
        assert_eq!(sessions_in(&mut feed, expected.len()).await, expected);
        bus.catch_up().await.expect("reads");
        for &position in &expected {
            assert_eq!(subscriber.try_recv().expect("sent").position, position);
        }
        for session in expected {
            let envelope: Value = serde_json::from_str(&tail.next().await.expect("follows")).expect("JSON");
            assert_eq!(envelope["data"]["session_id"], session);
        }
    }
}

async fn sweep_all_but_the_last(db: &Database) {
    sweep(db, Clock::system().now() + Duration::from_secs(60)).await;
}

#[tokio::test]
async fn a_feed_that_the_sweep_overtakes_reports_the_gap() {
    for db in testing::databases().await {
        let bus = EventBus::new(&Settings::default(), db.clone());
        record_sessions(&db, 0..600).await;
        publish_all(&db).await;
        let mut feed = bus.feed(Caller::alone("ada"), Some(ADA), Some(0)).await.expect("a feed");
        assert_eq!(sessions_in(&mut feed, 1).await, [0]);
        sweep_all_but_the_last(&db).await;
        assert_eq!(sessions_in(&mut feed, 255).await, (1..256).collect::<Vec<_>>(), "the page that was read before");
        assert_eq!(next(&mut feed).await, FeedItem::Gap { after: 256, from: 600 });
        assert_eq!(feed.position(), 599);
        assert_eq!(sessions_in(&mut feed, 1).await, [599]);
    }
}

#[tokio::test]
async fn a_feed_of_one_user_passes_the_events_of_others() {
    for db in testing::databases().await {
        let bus = EventBus::new(&Settings::default(), db.clone());
        let mut tx = db.begin().await.expect("begins");
        let events = [started(ADA, 1), started(BOB, 2), started(BOB, 3)].map(cloud_event);
        record_many(&mut tx, &events).await.expect("records");
        tx.commit().await.expect("commits");
        publish_all(&db).await;
        let mut feed = bus.feed(Caller::alone("ada"), Some(ADA), Some(0)).await.expect("a feed");
        assert_eq!(sessions_in(&mut feed, 1).await, [1]);
        assert!(feed.next().now_or_never().is_none(), "it waits");
        assert_eq!(feed.position(), 3);
        sweep_all_but_the_last(&db).await;
        record_sessions(&db, 4..5).await;
        publish_all(&db).await;
        let mut resumed = bus.feed(Caller::alone("ada"), Some(ADA), Some(feed.position())).await.expect("a feed");
        assert_eq!(sessions_in(&mut resumed, 1).await, [4], "and no gap");
    }
}
