//! A deleted user is erased from the stream before `user.deleted` is published. Against a real nats-server.

use async_nats::jetstream::{
    consumer::pull,
    stream::{Config, StorageType},
};
use futures_util::TryStreamExt as _;
use testing::NatsAccount;
use tokio::time::Instant;

use super::{
    jetstream::{relay, run_passes},
    *,
};

const OF_ADA: &str = "faceofmind.v1.session.started.1";
const OF_BOB: &str = "faceofmind.v1.session.started.2";
const ADA_DELETED: &str = "faceofmind.v1.user.deleted.1";

/// Returns a new database of each kind, with a NATS account for each.
async fn services() -> Vec<(Database, NatsAccount)> {
    let mut services = Vec::new();
    for db in testing::databases().await {
        services.push((db, testing::nats_account().await));
    }
    services
}

async fn record_one(db: &Database, event: impl DomainEvent) {
    let mut tx = db.begin().await.expect("begins");
    record(&mut tx, &cloud_event(event)).await.expect("records");
    tx.commit().await.expect("commits");
}

/// Returns the subjects of the messages that this consumer has not received yet.
async fn receives(account: &NatsAccount, name: &str) -> Vec<String> {
    let stream = account.jetstream().await.get_stream(STREAM).await.expect("the stream is there");
    let durable = pull::Config { durable_name: Some(name.into()), ..pull::Config::default() };
    let consumer = stream.get_or_create_consumer(name, durable).await.expect("a consumer");
    let batch = consumer.fetch().max_messages(1000).messages().await.expect("messages");
    let subjects = batch.and_then(async |message| {
        message.ack().await?;
        Ok(message.subject.to_string())
    });
    subjects.try_collect().await.expect("they are received")
}

#[tokio::test]
async fn a_deleted_user_is_erased_before_it_is_published_and_others_are_not() {
    for (db, account) in services().await {
        let mut relay = relay(&db, &account, &account.server, "a").await;
        record_sessions(&db, 0..3).await;
        record_one(&db, started(BOB, 3)).await;
        run_passes(&mut relay).await.expect("publishes");
        assert_eq!(receives(&account, "early").await, [OF_ADA, OF_ADA, OF_ADA, OF_BOB]);
        record_one(&db, started(BOB, 4)).await;
        record_sessions(&db, 5..6).await;
        erase_ada(&db).await;
        record_one(&db, started(BOB, 6)).await;
        run_passes(&mut relay).await.expect("goes on");
        assert_eq!(receives(&account, "late").await, [OF_BOB, OF_BOB, OF_BOB, ADA_DELETED]);
        assert_eq!(
            receives(&account, "early").await,
            [OF_BOB, OF_BOB, ADA_DELETED],
            "an earlier consumer misses nothing"
        );
    }
}

#[tokio::test]
async fn many_users_are_deleted_at_once_and_each_deletion_is_published() {
    for (db, account) in services().await {
        let mut relay = relay(&db, &account, &account.server, "a").await;
        let users = 10..30;
        for user in users.clone().map(UserId) {
            record_one(&db, started(user, user.0)).await;
        }
        run_passes(&mut relay).await.expect("publishes");
        for user_id in users.clone().map(UserId) {
            record_one(&db, started(BOB, user_id.0)).await;
            record_one(&db, UserEvent::Deleted { user_id }).await;
        }
        run_passes(&mut relay).await.expect("goes on");
        let of_bob = users.clone().map(|_| OF_BOB.to_owned());
        let deleted = users.map(|user| format!("faceofmind.v1.user.deleted.{user}"));
        let late = receives(&account, "late").await;
        assert_eq!(late, of_bob.chain(deleted).collect::<Vec<_>>(), "the events of Bob wait for no erasure");
    }
}

#[tokio::test]
async fn others_do_not_wait_for_the_erasure_of_many_events() {
    for (db, account) in services().await {
        let mut relay = relay(&db, &account, &account.server, "a").await;
        record_sessions(&db, 0..700).await;
        run_passes(&mut relay).await.expect("publishes");
        erase_ada(&db).await;
        record_one(&db, UserEvent::Deleted { user_id: UserId(3) }).await;
        record_one(&db, started(BOB, 1)).await;
        relay.run_pass().await.expect("sends the event of Bob");
        assert!(relay.sender.erasure.is_running());
        let second = relay.run_pass().await.expect("goes on");
        assert_eq!((second.published, second.more), (1, false), "the event of Bob is published meanwhile");
        assert_eq!(receives(&account, "early").await.pop().as_deref(), Some(OF_BOB));
        run_passes(&mut relay).await.expect("goes on");
        assert_eq!(receives(&account, "late").await, [OF_BOB, ADA_DELETED, "faceofmind.v1.user.deleted.3"]);
        assert!(all_published(&db).await);
    }
}

#[tokio::test]
async fn others_do_not_wait_for_the_deletions_of_many_users() {
    for (db, account) in services().await {
        let mut relay = relay(&db, &account, &account.server, "a").await;
        run_passes(&mut relay).await.expect("finds the end");
        let deletions: Vec<_> =
            (10..1200).map(|user| cloud_event(UserEvent::Deleted { user_id: UserId(user) })).collect();
        let mut tx = db.begin().await.expect("begins");
        record_many(&mut tx, &deletions).await.expect("records");
        record(&mut tx, &cloud_event(started(BOB, 1))).await.expect("records");
        tx.commit().await.expect("commits");
        relay.run_pass().await.expect("begins to erase the first");
        relay.run_pass().await.expect("sends the event of Bob");
        relay.run_pass().await.expect("publishes it");
        let published: i64 = {
            let mut reader = db.read_conn().await.expect("a connection");
            let sql = "SELECT count(*) FROM events WHERE position IS NOT NULL AND user_id = 2";
            with_conn!(reader.connection(), c => sqlx::query_scalar(sql).fetch_one(c).await).expect("counts")
        };
        assert_eq!(published, 1);
        relay.shut_down().await.expect("ends, and leaves the deletions to the next leader");
    }
}

#[tokio::test]
async fn an_erasure_goes_on_when_the_end_of_the_stream_is_lost() {
    for (db, account) in services().await {
        let mut relay = relay(&db, &account, &account.server, "a").await;
        record_sessions(&db, 0..300).await;
        run_passes(&mut relay).await.expect("publishes");
        erase_ada(&db).await;
        relay.run_pass().await.expect("begins to erase Ada");
        assert!(relay.sender.erasure.is_running());
        relay.sender.forget_end();
        assert!(relay.sender.erasure.is_running());
        run_passes(&mut relay).await.expect("goes on");
        assert_eq!(receives(&account, "late").await, [ADA_DELETED]);
    }
}

#[tokio::test]
async fn an_event_in_flight_when_its_user_is_deleted_is_erased_too() {
    for (db, account) in services().await {
        let mut relay = relay(&db, &account, &account.server, "a").await;
        run_passes(&mut relay).await.expect("finds the end");
        record_sessions(&db, 0..3).await;
        let in_flight = store::pending::page(&db, 10, &[], Kinds::All).await.expect("reads");
        erase_ada(&db).await;
        let writer = relay.sender.writer.as_mut().expect("with NATS");
        writer.publish(&in_flight, soon()).await.outcome.expect("arrives");
        run_passes(&mut relay).await.expect("goes on");
        assert_eq!(receives(&account, "late").await, [ADA_DELETED]);
    }
}

#[tokio::test]
async fn an_event_that_arrives_between_an_erasure_and_user_deleted_is_erased_first() {
    for (db, account) in services().await {
        let mut old = relay(&db, &account, &account.server, "old").await;
        let mut new = relay(&db, &account, &account.server, "new").await;
        record_one(&db, started(BOB, 0)).await;
        run_passes(&mut old).await.expect("publishes");
        old.leadership.release().await.expect("releases the lease");
        run_passes(&mut new).await.expect("takes over");
        record_sessions(&db, 1..3).await;
        let late = store::pending::page(&db, 10, &[], Kinds::All).await.expect("reads");
        erase_ada(&db).await;
        let deleted = store::pending::page(&db, 10, &[], Kinds::All).await.expect("reads");
        let (writer, old_writer) =
            (new.sender.writer.as_mut().expect("with NATS"), old.sender.writer.as_mut().expect("with NATS"));
        writer.erase(ADA, 1..=3).await.expect("erases");
        old_writer.publish(&late, soon()).await.outcome.expect("arrives late");
        let refused = writer.publish(&deleted, soon()).await;
        assert!(refused.outcome.is_err() && refused.arrived == 0, "it would report an erasure that is not complete");
        run_passes(&mut new).await.expect("erases again, and goes on");
        assert_eq!(receives(&account, "late").await, [OF_BOB, ADA_DELETED]);
    }
}

#[tokio::test]
async fn a_leader_that_dies_after_an_erasure_leaves_user_deleted_to_the_next() {
    for (db, account) in services().await {
        let mut dead = relay(&db, &account, &account.server, "a").await;
        record_sessions(&db, 0..3).await;
        run_passes(&mut dead).await.expect("publishes");
        erase_ada(&db).await;
        let erased = dead.sender.writer.as_ref().expect("with NATS").erase(ADA, 1..=3).await;
        assert_eq!(erased.expect("erases"), 3);
        dead.leadership.release().await.expect("as if its lease had expired");
        let mut next = relay(&db, &account, &account.server, "b").await;
        run_passes(&mut next).await.expect("goes on");
        assert_eq!(receives(&account, "late").await, [ADA_DELETED]);
        record_sessions(&db, 3..5).await;
        run_passes(&mut next).await.expect("goes on");
        assert_eq!(receives(&account, "late").await, [OF_ADA, OF_ADA]);
    }
}

#[tokio::test]
async fn an_arrived_user_deleted_is_not_erased() {
    for (db, account) in services().await {
        let mut relay = relay(&db, &account, &account.server, "a").await;
        run_passes(&mut relay).await.expect("finds the end");
        erase_ada(&db).await;
        let deleted = store::pending::page(&db, 10, &[], Kinds::All).await.expect("reads");
        let writer = relay.sender.writer.as_mut().expect("with NATS");
        writer.publish(&deleted, soon()).await.outcome.expect("arrives");
        writer.forget_end();
        run_passes(&mut relay).await.expect("finds it");
        assert_eq!(receives(&account, "late").await, [ADA_DELETED]);
        assert!(all_published(&db).await);
    }
}

#[tokio::test]
async fn a_stream_that_denies_deleting_is_refused_and_no_deletion_is_published() {
    for (db, account) in services().await {
        let subjects = vec!["faceofmind.v1.>".to_owned()];
        let (name, storage) = (STREAM.to_owned(), StorageType::File);
        let denying = Config { name, subjects, storage, deny_delete: true, ..Config::default() };
        account.jetstream().await.create_stream(denying).await.expect("another configuration");
        erase_ada(&db).await;
        let mut relay = relay(&db, &account, &account.server, "a").await;
        let error = run_passes(&mut relay).await.err().expect("refused").to_string();
        assert!(error.contains("denies deleting") && error.contains("nats stream rm FACEOFMIND"), "{error}");
        assert_eq!(receives(&account, "late").await, [""; 0]);
        assert!(rows(&db).await.iter().all(|(_, position)| position.is_none()), "it waits");
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}
