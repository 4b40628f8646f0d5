use faceofmind_model::event::{CloudEvent, DomainEvent, EventContext, Initiator, SessionEvent, UserEvent};
use std::sync::Arc;

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, with_conn};
use faceofmind_runtime::{RestartPolicy, Supervisor, SupervisorHandle, SupervisorSpec};
use tokio::sync::broadcast::Receiver;

use super::*;
use crate::testing;
use faceofmind_model::session::SessionId;
use faceofmind_model::user::UserId;

mod erasure;
mod feed;
mod jetstream;

const ADA: UserId = UserId(1);
const BOB: UserId = UserId(2);

fn started(user_id: UserId, session: i64) -> SessionEvent {
    let start_time = Clock::system().now();
    SessionEvent::Started { user_id, session_id: SessionId(session), start_time }
}

fn sealed(event: impl DomainEvent) -> CloudEvent {
    event.into_cloud_event(&EventContext::new(Initiator::User(event.user_id())), Clock::system().now(), &Rng::system())
}

/// Records these sessions of Ada's as a room would, and returns the ids of the events.
async fn record_sessions(db: &Database, sessions: std::ops::Range<i64>) -> Vec<String> {
    let events: Vec<_> = sessions.map(|session| sealed(started(ADA, session))).collect();
    let mut tx = db.begin().await.expect("begins");
    record_many(&mut tx, &events).await.expect("records");
    tx.commit().await.expect("commits");
    events.iter().map(|event| event.id().to_string()).collect()
}

/// What the publisher has to do with it when Ada is deleted.
async fn erase_ada(db: &Database) {
    let mut tx = db.begin().await.expect("begins");
    erase(&mut tx, ADA).await.expect("erases");
    record(&mut tx, &sealed(UserEvent::Deleted { user_id: ADA })).await.expect("records");
    tx.commit().await.expect("commits");
}

/// The outbox: id and position of every row, in the order of recording.
async fn rows(db: &Database) -> Vec<(String, Option<i64>)> {
    let mut reader = db.read_conn().await.expect("a connection");
    let sql = "SELECT id, position FROM events ORDER BY seq";
    with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_all(c).await).expect("rows")
}

async fn mark_all(db: &Database) -> Vec<PublishedEvent> {
    let waiting = store::unpublished(db, 1000).await.expect("reads");
    let mut tx = db.begin().await.expect("begins");
    let marked = store::mark(&mut tx, waiting, Clock::system().now()).await.expect("marks");
    tx.commit().await.expect("commits");
    marked
}

/// A publisher at work.
struct Office {
    publisher: Publisher,
    tree: SupervisorHandle,
}

impl Office {
    async fn open(db: &Database, settings: Settings, nats: Option<Nats>) -> Self {
        let (clock, rng) = (Clock::system(), Rng::system());
        let (publisher, child) = Publisher::new(settings, db.clone(), nats, clock.clone(), rng.clone());
        let family = SupervisorSpec { children: vec![child], policy: RestartPolicy::default(), clock, rng };
        Self { publisher, tree: Supervisor::start(family).await.expect("starts") }
    }

    async fn close(self) {
        self.tree.stop(Duration::from_secs(10)).await;
    }
}

/// Polls so seldom that only a wake-up can be the reason.
fn only_when_woken() -> Settings {
    Settings { poll: Duration::from_secs(3600), ..Settings::default() }
}

async fn hear(bus: &mut Receiver<Arc<PublishedEvent>>, count: usize) -> Vec<Arc<PublishedEvent>> {
    let mut heard = Vec::new();
    for _ in 0..count {
        let next = tokio::time::timeout(Duration::from_secs(10), bus.recv()).await;
        heard.push(next.expect("an event comes").expect("none is missed"));
    }
    heard
}

#[tokio::test]
async fn what_is_rolled_back_was_never_recorded() {
    for db in testing::databases().await {
        let mut tx = db.begin().await.expect("begins");
        record(&mut tx, &sealed(started(ADA, 1))).await.expect("records");
        tx.rollback().await.expect("rolls back");
        assert_eq!(rows(&db).await, []);
    }
}

#[tokio::test]
async fn a_batch_of_any_size_keeps_its_order() {
    for db in testing::databases().await {
        let ids = record_sessions(&db, 0..600).await;
        let waiting = store::unpublished(&db, 1000).await.expect("reads");
        assert_eq!(waiting.iter().map(|event| event.id.clone()).collect::<Vec<_>>(), ids);
        assert_eq!(waiting[0].subject, "faceofmind.v1.session.started.1");
    }
}

#[tokio::test]
async fn what_commits_late_is_published_all_the_same() {
    for db in testing::databases().await {
        let Database::Postgres(_) = &db else { continue };
        let mut late = db.begin().await.expect("begins");
        record(&mut late, &sealed(started(BOB, 1))).await.expect("has the first number");
        record_sessions(&db, 0..2).await;
        assert_eq!(mark_all(&db).await.len(), 2);
        late.commit().await.expect("commits");
        let positions: Vec<_> = mark_all(&db).await.iter().map(|event| (event.user_id, event.position)).collect();
        assert_eq!(positions, [(BOB, 3)]);
    }
}

#[tokio::test]
async fn a_position_is_given_once_and_never_again() {
    for db in testing::databases().await {
        record_sessions(&db, 0..5).await;
        let waiting = store::unpublished(&db, 1000).await.expect("reads");
        assert_eq!(mark_all(&db).await.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        let mut tx = db.begin().await.expect("begins");
        let again = store::mark(&mut tx, waiting, Clock::system().now()).await.expect("marks nothing");
        tx.commit().await.expect("commits");
        assert_eq!(again, []);
        let far = Clock::system().now() + Duration::from_secs(60);
        assert_eq!(sweep(&db, far).await.expect("sweeps"), 4, "all but the last, which holds the count");
        record_sessions(&db, 5..6).await;
        assert_eq!(mark_all(&db).await[0].position, 6);
    }
}

#[tokio::test]
async fn an_erasure_just_before_the_mark_leaves_no_hole() {
    for db in testing::databases().await {
        let mut tx = db.begin().await.expect("begins");
        let told = [started(BOB, 1), started(ADA, 2), started(BOB, 3)].map(sealed);
        record_many(&mut tx, &told).await.expect("records");
        tx.commit().await.expect("commits");
        let waiting = store::unpublished(&db, 10).await.expect("reads");
        erase_ada(&db).await;
        let mut tx = db.begin().await.expect("begins");
        let marked = store::mark(&mut tx, waiting, Clock::system().now()).await.expect("marks");
        tx.commit().await.expect("commits");
        let positions: Vec<_> = marked.iter().map(|event| (event.user_id, event.position)).collect();
        assert_eq!(positions, [(BOB, 1), (BOB, 2)]);
    }
}

#[tokio::test]
async fn a_sweep_leaves_what_is_young_or_unpublished() {
    for db in testing::databases().await {
        record_sessions(&db, 0..2).await;
        mark_all(&db).await;
        let unpublished = record_sessions(&db, 2..3).await;
        assert_eq!(sweep(&db, Timestamp::from_micros(0)).await.expect("sweeps"), 0);
        let far = Clock::system().now() + Duration::from_secs(60);
        assert_eq!(sweep(&db, far).await.expect("sweeps"), 1);
        assert_eq!(rows(&db).await.last(), Some(&(unpublished[0].clone(), None)));
    }
}

#[tokio::test]
async fn an_erased_user_leaves_nothing_but_positions() {
    for db in testing::databases().await {
        record_sessions(&db, 0..2).await;
        mark_all(&db).await;
        record_sessions(&db, 2..3).await;
        erase_ada(&db).await;
        let told = mark_all(&db).await;
        assert_eq!((told.len(), told[0].position, told[0].subject.as_str()), (1, 3, "faceofmind.v1.user.deleted.1"));
        let left = store::published_after(&db, 0, None, 100).await.expect("reads");
        assert_eq!(left, told, "a stream that resumes finds nothing else");
        let mut reader = db.read_conn().await.expect("a connection");
        let sql = "SELECT count(*) FROM events WHERE envelope LIKE '%session%' OR aggregate LIKE 'session%'";
        let (count,): (i64,) =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_one(c).await).expect("counts");
        assert_eq!(count, 0);
    }
}

#[tokio::test]
async fn a_wake_up_carries_events_to_the_bus_in_order() {
    for db in testing::databases().await {
        let office = Office::open(&db, only_when_woken(), None).await;
        let mut bus = office.publisher.subscribe();
        let ids = record_sessions(&db, 0..300).await;
        office.publisher.wake();
        let heard = hear(&mut bus, 300).await;
        assert!(heard.iter().zip(&ids).all(|(event, id)| event.envelope.contains(id.as_str())));
        assert!(heard.iter().zip(1..).all(|(event, position)| event.position == position));
        assert!(office.publisher.is_up());
        let seen = office.publisher.observe().await.expect("observes");
        assert_eq!((&seen["published"], &seen["part"]), (&300.into(), &"leads".into()));
        office.close().await;
    }
}

#[tokio::test]
async fn events_without_a_wake_up_are_found_by_the_poll_or_at_the_stop() {
    for db in testing::databases().await {
        let settings = Settings { poll: Duration::from_millis(5), ..Settings::default() };
        let office = Office::open(&db, settings, None).await;
        let mut bus = office.publisher.subscribe();
        record_sessions(&db, 0..1).await;
        hear(&mut bus, 1).await;
        office.close().await;

        let office = Office::open(&db, only_when_woken(), None).await;
        testing::until("the first poll is over", || async {
            office.publisher.observe().await.is_ok_and(|seen| seen["part"] == "leads")
        })
        .await;
        record_sessions(&db, 1..3).await;
        office.close().await;
        assert!(rows(&db).await.iter().all(|(_, position)| position.is_some()), "drained");
        let mut tx = db.begin().await.expect("begins");
        let leases: Vec<(String,)> =
            with_conn!(tx.connection(), c => sqlx::query_as("SELECT name FROM leases").fetch_all(c).await)
                .expect("reads");
        assert_eq!(leases, [], "the lead is given up");
    }
}

#[tokio::test]
async fn what_another_node_publishes_is_on_this_nodes_bus_too() {
    for db in testing::databases().await {
        let Database::Postgres(_) = &db else { continue };
        let leader = Office::open(&db, Settings::default(), None).await;
        testing::until("one leads", || async { leader.publisher.observe().await.is_ok_and(|s| s["part"] == "leads") })
            .await;
        let settings = Settings { poll: Duration::from_millis(5), ..Settings::default() };
        let follower = Office::open(&db, settings, None).await;
        testing::until("the other follows", || async {
            follower.publisher.observe().await.is_ok_and(|seen| seen["part"] == "follows")
        })
        .await;
        let mut bus = follower.publisher.subscribe();
        record_sessions(&db, 0..3).await;
        leader.publisher.wake();
        assert_eq!(hear(&mut bus, 3).await.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 2, 3]);
        leader.close().await;
        record_sessions(&db, 3..4).await;
        assert_eq!(hear(&mut bus, 1).await[0].position, 4, "who followed leads now");
        follower.close().await;
    }
}

#[tokio::test]
async fn a_failing_database_is_seen_and_survived() {
    for db in testing::databases().await {
        let office = Office::open(&db, only_when_woken(), None).await;
        let mut bus = office.publisher.subscribe();
        testing::until("the first poll is over", || async { office.publisher.is_up() }).await;
        rename(&db, "ALTER TABLE events RENAME TO events_elsewhere").await;
        office.publisher.wake();
        testing::until("it fails", || async { !office.publisher.is_up() }).await;
        rename(&db, "ALTER TABLE events_elsewhere RENAME TO events").await;
        record_sessions(&db, 0..1).await;
        hear(&mut bus, 1).await;
        testing::until("it is well again", || async { office.publisher.is_up() }).await;
        office.close().await;
    }
}

async fn rename(db: &Database, sql: &'static str) {
    let mut tx = db.begin().await.expect("begins");
    match tx.connection() {
        Connection::Postgres(c) => sqlx::query(sql).execute(c).await.map(drop),
        Connection::Sqlite(c) => sqlx::query(sql).execute(c).await.map(drop),
    }
    .expect("renames");
    tx.commit().await.expect("commits");
}

#[tokio::test]
async fn a_tail_begins_where_it_is_told_to() {
    for db in testing::databases().await {
        record_sessions(&db, 0..2).await;
        mark_all(&db).await;
        let (past, future) = (Timestamp::from_micros(0), Clock::system().now() + Duration::from_secs(60));
        let subjects: Subjects = "session.started.*".parse().expect("a pattern");
        let mut since = Tail::of_outbox(db.clone(), subjects.clone(), Some(past)).await.expect("looks");
        let mut from_now = Tail::of_outbox(db.clone(), subjects.clone(), None).await.expect("looks");
        let mut later = Tail::of_outbox(db.clone(), subjects, Some(future)).await.expect("looks");
        record_sessions(&db, 2..3).await;
        mark_all(&db).await;
        for (tail, first) in [(&mut since, 0), (&mut from_now, 2), (&mut later, 2)] {
            let event: Value = serde_json::from_str(&tail.next().await.expect("an event")).expect("JSON");
            assert_eq!(event["data"]["session_id"], first);
        }
    }
}
