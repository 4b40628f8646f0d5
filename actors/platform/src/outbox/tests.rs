use std::sync::Arc;

use faceofmind_base::{Clock, Rng, Timestamp};
use faceofmind_db::{Database, Tx, with_conn};
use faceofmind_model::{
    DetectionId, SessionId, UserId,
    emotion::KnownEmotion,
    event::{CloudEvent, DomainEvent, EventContext, Initiator, PublishedEvent, SessionEvent, UserEvent},
};
use faceofmind_runtime::{Handle, SupervisorHandle};
use serde_json::Value;
use tokio::sync::broadcast::Receiver;

use super::{store::pending::Kinds, *};
use crate::{nats::NatsConnection, testing};

mod erasure;
mod feed;
mod jetstream;
mod refill;
mod retention;

const ADA: UserId = UserId(1);
const BOB: UserId = UserId(2);

fn started(user_id: UserId, session: i64) -> SessionEvent {
    let start_time = Clock::system().now();
    SessionEvent::Started { user_id, session_id: SessionId(session), start_time }
}

fn cloud_event(event: impl DomainEvent) -> CloudEvent {
    event.into_cloud_event(&EventContext::new(Initiator::User(event.user_id())), Clock::system().now(), &Rng::system())
}

/// Records events of these sessions of Ada, and returns their ids.
async fn record_sessions(db: &Database, sessions: std::ops::Range<i64>) -> Vec<String> {
    let events: Vec<_> = sessions.map(|session| cloud_event(started(ADA, session))).collect();
    let mut tx = db.begin().await.expect("begins");
    record_many(&mut tx, &events).await.expect("records");
    tx.commit().await.expect("commits");
    events.iter().map(|event| event.id().to_string()).collect()
}

/// Records detections in one session of Ada in one transaction, and returns the ids of their events.
async fn record_detections(db: &Database, session: i64, count: i64) -> Vec<String> {
    let (user_id, session_id, timestamp) = (ADA, SessionId(session), Clock::system().now());
    let detected = |number| SessionEvent::EmotionDetected {
        user_id,
        session_id,
        detection_id: DetectionId(number),
        emotion: KnownEmotion::of("happy"),
        timestamp,
    };
    let events: Vec<_> = (0..count).map(|number| cloud_event(detected(number))).collect();
    let mut tx = db.begin().await.expect("begins");
    record_many(&mut tx, &events).await.expect("records");
    tx.commit().await.expect("commits");
    events.iter().map(|event| event.id().to_string()).collect()
}

/// Erases Ada from the outbox and records `user.deleted`.
async fn erase_ada(db: &Database) {
    let mut tx = db.begin().await.expect("begins");
    let rows_remain = erase(&mut tx, ADA, 1000).await.expect("erases");
    assert!(!rows_remain, "there are fewer events than one slice takes");
    record(&mut tx, &cloud_event(UserEvent::Deleted { user_id: ADA })).await.expect("records");
    tx.commit().await.expect("commits");
}

/// Returns the id and the position of each row, in the order of recording.
async fn rows(db: &Database) -> Vec<(String, Option<i64>)> {
    let mut reader = db.read_conn().await.expect("a connection");
    let sql = "SELECT id, position FROM events ORDER BY seq";
    with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_all(c).await).expect("rows")
}

async fn publish_all(db: &Database) -> Vec<PublishedEvent> {
    let pending = store::pending::page(db, 1000, &[], Kinds::All).await.expect("reads");
    let mut tx = db.begin().await.expect("begins");
    let published = store::pending::assign_positions(&mut tx, pending, Clock::system().now()).await.expect("assigns");
    tx.commit().await.expect("commits");
    published
}

async fn sweep(db: &Database, before: Timestamp) -> u64 {
    let mut tx = db.begin().await.expect("begins");
    let deleted = store::sweep(&mut tx, before).await.expect("sweeps");
    tx.commit().await.expect("commits");
    deleted
}

async fn all_published(db: &Database) -> bool {
    rows(db).await.iter().all(|(_, position)| position.is_some())
}

fn deps(db: &Database, settings: &Settings, nats: Option<NatsConnection>) -> Deps {
    let bus = EventBus::new(settings, db.clone());
    Deps { db: db.clone(), bus, nats, clock: Clock::system(), rng: Rng::system() }
}

/// A supervised publisher.
struct Node {
    publisher: Handle<Publisher>,
    bus: EventBus,
    tree: SupervisorHandle,
}

impl Node {
    async fn start(db: &Database, settings: Settings, nats: Option<NatsConnection>) -> Self {
        let deps = deps(db, &settings, nats);
        let (bus, clock) = (deps.bus.clone(), deps.clock.clone());
        let (publisher, child) = Publisher::new(settings, deps);
        Self { publisher, bus, tree: testing::supervise(vec![child], &clock).await }
    }

    async fn status(&self) -> Status {
        self.publisher.status().await.expect("the publisher runs")
    }

    async fn until_role(&self, role: Role) {
        testing::until("the publisher has its role", async || self.status().await.role == Some(role)).await;
    }

    async fn until_up(&self, up: bool) {
        testing::until("the publisher is up, or down", async || self.status().await.is_up() == up).await;
    }

    async fn stop(self) {
        self.tree.stop(Duration::from_secs(10)).await;
    }
}

/// Polls so seldom that only a signal can be the reason of a pass.
fn without_polls() -> Settings {
    Settings { poll_interval: Duration::from_secs(3600), ..Settings::default() }
}

fn with_fast_polls() -> Settings {
    Settings { poll_interval: Duration::from_millis(5), ..Settings::default() }
}

async fn receive(bus: &mut Receiver<Arc<PublishedEvent>>, count: usize) -> Vec<Arc<PublishedEvent>> {
    let mut received = Vec::new();
    for _ in 0..count {
        let next = tokio::time::timeout(Duration::from_secs(10), bus.recv()).await;
        received.push(next.expect("an event comes").expect("none is missed"));
    }
    received
}

#[tokio::test]
async fn a_rolled_back_event_was_never_recorded() {
    for db in testing::databases().await {
        let mut tx = db.begin().await.expect("begins");
        record(&mut tx, &cloud_event(started(ADA, 1))).await.expect("records");
        tx.rollback().await.expect("rolls back");
        assert_eq!(rows(&db).await, []);
    }
}

#[tokio::test]
async fn a_batch_of_any_size_keeps_its_order() {
    for db in testing::databases().await {
        let ids = record_sessions(&db, 0..600).await;
        let pending = store::pending::page(&db, 1000, &[], Kinds::All).await.expect("reads");
        assert_eq!(pending.iter().map(|event| event.id.clone()).collect::<Vec<_>>(), ids);
        assert_eq!(pending[0].events[0].subject, "faceofmind.v1.session.started.1");
    }
}

#[tokio::test]
async fn events_of_one_session_share_rows_and_each_has_its_position() {
    for db in testing::databases().await {
        record_sessions(&db, 0..1).await;
        let ids = record_detections(&db, 1, 70).await;
        record_detections(&db, 2, 1).await;
        let published = publish_all(&db).await;
        assert_eq!(published.iter().map(|event| event.position).collect::<Vec<_>>(), (1..=72).collect::<Vec<_>>());
        assert!(published[1..71].iter().zip(&ids).all(|(event, id)| event.envelope.contains(id.as_str())));
        assert_eq!(rows(&db).await.into_iter().filter_map(|row| row.1).collect::<Vec<_>>(), [1, 33, 65, 71, 72]);
        for (after, user) in [(0, None), (1, None), (40, None), (64, Some(ADA)), (71, None), (72, Some(ADA))] {
            let mut read = Vec::new();
            let mut position = after;
            loop {
                let page = store::published::after(&db, position, user, 20).await.expect("reads");
                assert!(page.events.len() < 20 + 32, "a page is bounded");
                position = page.last;
                read.extend(page.events);
                if !page.more {
                    break;
                }
            }
            assert_eq!(read, published[usize::try_from(after).expect("small")..], "after {after}");
        }
        let backlog = store::backlog(&db).await.expect("counts");
        assert_eq!(backlog.events, 0);
        let far = Clock::system().now() + Duration::from_secs(60);
        sweep(&db, far).await;
        assert_eq!(store::published::kept_positions(&db).await.expect("reads"), (72, 72));
        record_detections(&db, 2, 40).await;
        assert_eq!(store::backlog(&db).await.expect("counts").events, 40);
        assert_eq!(publish_all(&db).await.first().map(|event| event.position), Some(73));
        sweep(&db, far).await;
        assert_eq!(store::published::kept_positions(&db).await.expect("reads"), (105, 112));
    }
}

#[tokio::test]
async fn an_event_that_commits_late_is_published() {
    for db in testing::databases().await {
        let Database::Postgres(_) = &db else { continue };
        let mut late = db.begin().await.expect("begins");
        record(&mut late, &cloud_event(started(BOB, 1))).await.expect("has the first number");
        record_sessions(&db, 0..2).await;
        assert_eq!(publish_all(&db).await.len(), 2);
        late.commit().await.expect("commits");
        let positions: Vec<_> = publish_all(&db).await.iter().map(|event| (event.user_id, event.position)).collect();
        assert_eq!(positions, [(BOB, 3)]);
    }
}

#[tokio::test]
async fn a_position_is_assigned_once() {
    for db in testing::databases().await {
        record_sessions(&db, 0..5).await;
        let pending = store::pending::page(&db, 1000, &[], Kinds::All).await.expect("reads");
        assert_eq!(publish_all(&db).await.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        let mut tx = db.begin().await.expect("begins");
        let again =
            store::pending::assign_positions(&mut tx, pending, Clock::system().now()).await.expect("assigns none");
        tx.commit().await.expect("commits");
        assert_eq!(again, []);
        let far = Clock::system().now() + Duration::from_secs(60);
        assert_eq!(sweep(&db, far).await, 4, "all but the last, from which the next is counted");
        record_sessions(&db, 5..6).await;
        assert_eq!(publish_all(&db).await[0].position, 6);
    }
}

#[tokio::test]
async fn an_erasure_just_before_positions_are_assigned_leaves_no_gap() {
    for db in testing::databases().await {
        let mut tx = db.begin().await.expect("begins");
        let events = [started(BOB, 1), started(ADA, 2), started(BOB, 3)].map(cloud_event);
        record_many(&mut tx, &events).await.expect("records");
        tx.commit().await.expect("commits");
        let pending = store::pending::page(&db, 10, &[], Kinds::All).await.expect("reads");
        erase_ada(&db).await;
        let mut tx = db.begin().await.expect("begins");
        let published =
            store::pending::assign_positions(&mut tx, pending, Clock::system().now()).await.expect("assigns");
        tx.commit().await.expect("commits");
        let positions: Vec<_> = published.iter().map(|event| (event.user_id, event.position)).collect();
        assert_eq!(positions, [(BOB, 1), (BOB, 2)]);
    }
}

#[tokio::test]
async fn a_sweep_keeps_recent_and_unpublished_events() {
    for db in testing::databases().await {
        record_sessions(&db, 0..2).await;
        publish_all(&db).await;
        let unpublished = record_sessions(&db, 2..3).await;
        assert_eq!(sweep(&db, Timestamp::from_micros(0)).await, 0);
        let far = Clock::system().now() + Duration::from_secs(60);
        assert_eq!(sweep(&db, far).await, 1);
        assert_eq!(rows(&db).await.last(), Some(&(unpublished[0].clone(), None)));
    }
}

#[tokio::test]
async fn an_erased_user_leaves_nothing_but_positions() {
    for db in testing::databases().await {
        record_sessions(&db, 0..2).await;
        publish_all(&db).await;
        record_sessions(&db, 2..3).await;
        erase_ada(&db).await;
        let published = publish_all(&db).await;
        assert_eq!(
            (published.len(), published[0].position, published[0].subject.as_str()),
            (1, 3, "faceofmind.v1.user.deleted.1")
        );
        let left = store::published::after(&db, 0, None, 100).await.expect("reads");
        assert_eq!(left.events, published, "a feed that resumes finds nothing else");
        let mut reader = db.read_conn().await.expect("a connection");
        let sql = "SELECT count(*) FROM events WHERE envelope LIKE '%session%' OR aggregate LIKE 'session%'";
        let (count,): (i64,) =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_one(c).await).expect("counts");
        assert_eq!(count, 0);
    }
}

#[tokio::test]
async fn a_wake_up_publishes_events_to_the_bus_in_order() {
    for db in testing::databases().await {
        let node = Node::start(&db, without_polls(), None).await;
        let mut bus = node.bus.subscribe();
        let ids = record_sessions(&db, 0..300).await;
        node.publisher.tell(Wake);
        let received = receive(&mut bus, 300).await;
        assert!(received.iter().zip(&ids).all(|(event, id)| event.envelope.contains(id.as_str())));
        assert!(received.iter().zip(1..).all(|(event, position)| event.position == position));
        testing::until("the status counts them", async || node.status().await.published == 300).await;
        let status = node.status().await;
        assert_eq!((status.is_up(), status.role), (true, Some(Role::Leader)));
        node.stop().await;
    }
}

#[tokio::test]
async fn events_without_a_wake_up_are_published_at_the_poll_or_at_the_stop() {
    for db in testing::databases().await {
        let node = Node::start(&db, with_fast_polls(), None).await;
        let mut bus = node.bus.subscribe();
        record_sessions(&db, 0..1).await;
        receive(&mut bus, 1).await;
        node.stop().await;

        let node = Node::start(&db, without_polls(), None).await;
        node.until_role(Role::Leader).await;
        record_sessions(&db, 1..3).await;
        node.stop().await;
        assert!(all_published(&db).await, "the publisher publishes what is pending before it stops");
        let mut tx = db.begin().await.expect("begins");
        let leases: Vec<(String,)> =
            with_conn!(tx.connection(), c => sqlx::query_as("SELECT name FROM leases").fetch_all(c).await)
                .expect("reads");
        assert_eq!(leases, [], "the lease is released");
    }
}

#[tokio::test]
async fn events_that_another_node_publishes_are_on_this_nodes_bus_too() {
    for db in testing::databases().await {
        let Database::Postgres(_) = &db else { continue };
        let leader = Node::start(&db, Settings::default(), None).await;
        leader.until_role(Role::Leader).await;
        let follower = Node::start(&db, with_fast_polls(), None).await;
        follower.until_role(Role::Follower).await;
        let mut bus = follower.bus.subscribe();
        record_sessions(&db, 0..3).await;
        leader.publisher.tell(Wake);
        assert_eq!(receive(&mut bus, 3).await.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 2, 3]);
        leader.stop().await;
        record_sessions(&db, 3..4).await;
        assert_eq!(receive(&mut bus, 1).await[0].position, 4, "the follower is the leader now");
        follower.stop().await;
    }
}

#[tokio::test]
async fn a_database_failure_is_shown_and_survived() {
    for db in testing::databases().await {
        let node = Node::start(&db, without_polls(), None).await;
        let mut bus = node.bus.subscribe();
        node.until_role(Role::Leader).await;
        let mut tx = db.begin().await.expect("begins");
        run(&mut tx, "ALTER TABLE events RENAME TO events_elsewhere").await;
        tx.commit().await.expect("commits");
        node.publisher.tell(Wake);
        node.until_up(false).await;
        // In one transaction: the publisher's next try finds the event.
        let mut tx = db.begin().await.expect("begins");
        run(&mut tx, "ALTER TABLE events_elsewhere RENAME TO events").await;
        record(&mut tx, &cloud_event(started(ADA, 0))).await.expect("records");
        tx.commit().await.expect("commits");
        receive(&mut bus, 1).await;
        node.until_up(true).await;
        node.stop().await;
    }
}

async fn run(tx: &mut Tx, sql: &'static str) {
    with_conn!(tx.connection(), c => sqlx::query(sql).execute(c).await.map(drop)).expect("runs");
}

#[tokio::test]
async fn an_erasure_in_slices_leaves_only_positions() {
    for db in testing::databases().await {
        record_sessions(&db, 0..5).await;
        publish_all(&db).await;
        record_sessions(&db, 5..8).await;
        let mut bounds = Vec::new();
        loop {
            let mut tx = db.begin().await.expect("begins");
            let rows_remain = erase(&mut tx, ADA, 2).await.expect("erases");
            tx.commit().await.expect("commits");
            bounds.push((
                rows(&db).await.len(),
                store::published::after(&db, 0, Some(ADA), 10).await.expect("reads").events.len(),
            ));
            if !rows_remain {
                break;
            }
        }
        assert_eq!(bounds, [(6, 3), (5, 1), (5, 0)], "two unpublished and two published events at a time");
        assert!(all_published(&db).await);
    }
}

#[tokio::test]
async fn a_tail_starts_at_the_requested_time() {
    for db in testing::databases().await {
        record_sessions(&db, 0..2).await;
        publish_all(&db).await;
        let (past, future) = (Timestamp::from_micros(0), Clock::system().now() + Duration::from_secs(60));
        let pattern: SubjectPattern = "session.started.*".parse().expect("a pattern");
        let mut since = EventTail::of_outbox(db.clone(), pattern.clone(), Some(past)).await.expect("opens");
        let mut from_now = EventTail::of_outbox(db.clone(), pattern.clone(), None).await.expect("opens");
        let mut later = EventTail::of_outbox(db.clone(), pattern, Some(future)).await.expect("opens");
        record_sessions(&db, 2..3).await;
        publish_all(&db).await;
        for (tail, first) in [(&mut since, 0), (&mut from_now, 2), (&mut later, 2)] {
            let event: Value = serde_json::from_str(&tail.next().await.expect("an event")).expect("JSON");
            assert_eq!(event["data"]["session_id"], first);
        }
    }
}
