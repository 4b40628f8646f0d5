//! Who is deleted is gone from the stream before anybody is told so. Against a real nats-server, where `FOM_TEST_NATS` names one.

use async_nats::jetstream::{
    consumer::pull,
    stream::{Config, StorageType},
};
use faceofmind_model::event::{DomainEvent, UserEvent};
use futures_util::TryStreamExt;
use testing::NatsAccount;
use tokio::time::Instant;

use super::{
    jetstream::{relay, settle},
    *,
};

const OF_ADA: &str = "faceofmind.v1.session.started.1";
const OF_BOB: &str = "faceofmind.v1.session.started.2";
const FAREWELL: &str = "faceofmind.v1.user.deleted.1";

/// A story on each database, with an account at NATS for each.
async fn grounds() -> Vec<(Database, NatsAccount)> {
    let mut grounds = Vec::new();
    for db in testing::databases().await {
        grounds.push((db, testing::nats_account().await));
    }
    grounds
}

async fn record_one(db: &Database, event: impl DomainEvent) {
    let mut tx = db.begin().await.expect("begins");
    record(&mut tx, &sealed(event)).await.expect("records");
    tx.commit().await.expect("commits");
}

/// What a sibling hears that has read nothing yet.
async fn hears(account: &NatsAccount, name: &str) -> Vec<String> {
    let stream = account.jetstream().await.get_stream(STREAM).await.expect("the stream is there");
    let durable = pull::Config { durable_name: Some(name.into()), ..pull::Config::default() };
    let consumer = stream.get_or_create_consumer(name, durable).await.expect("a consumer");
    let batch = consumer.fetch().max_messages(1000).messages().await.expect("messages");
    let heard = batch.and_then(async |message| {
        message.ack().await?;
        Ok(message.subject.to_string())
    });
    heard.try_collect().await.expect("they are heard")
}

#[tokio::test]
async fn a_deleted_user_is_gone_before_it_is_told_and_others_are_not() {
    for (db, account) in grounds().await {
        let mut relay = relay(&db, &account, &account.server, "a").await;
        record_sessions(&db, 0..3).await;
        record_one(&db, started(BOB, 3)).await;
        settle(&mut relay).await.expect("publishes");
        assert_eq!(hears(&account, "early").await, [OF_ADA, OF_ADA, OF_ADA, OF_BOB]);
        record_one(&db, started(BOB, 4)).await;
        record_sessions(&db, 5..6).await;
        erase_ada(&db).await;
        record_one(&db, started(BOB, 6)).await;
        settle(&mut relay).await.expect("goes on");
        assert_eq!(hears(&account, "late").await, [OF_BOB, OF_BOB, FAREWELL, OF_BOB]);
        assert_eq!(hears(&account, "early").await, [OF_BOB, FAREWELL, OF_BOB], "who has read before misses nothing");
    }
}

#[tokio::test]
async fn many_are_deleted_at_once_and_all_are_told() {
    for (db, account) in grounds().await {
        let mut relay = relay(&db, &account, &account.server, "a").await;
        let users = 10..30;
        for user in users.clone().map(UserId) {
            record_one(&db, started(user, user.0)).await;
        }
        settle(&mut relay).await.expect("publishes");
        for user_id in users.clone().map(UserId) {
            record_one(&db, started(BOB, user_id.0)).await;
            record_one(&db, UserEvent::Deleted { user_id }).await;
        }
        settle(&mut relay).await.expect("goes on");
        let told = users.flat_map(|user| [OF_BOB.to_owned(), format!("faceofmind.v1.user.deleted.{user}")]);
        assert_eq!(hears(&account, "late").await, told.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_was_on_its_way_when_a_user_was_deleted_is_erased_too() {
    for (db, account) in grounds().await {
        let mut relay = relay(&db, &account, &account.server, "a").await;
        settle(&mut relay).await.expect("in step");
        record_sessions(&db, 0..3).await;
        let waiting = store::unpublished(&db, 10).await.expect("reads");
        erase_ada(&db).await;
        let chain = relay.chain.as_mut().expect("with NATS");
        chain.publish(&waiting, soon()).await.outcome.expect("arrives");
        settle(&mut relay).await.expect("goes on");
        assert_eq!(hears(&account, "late").await, [FAREWELL]);
    }
}

#[tokio::test]
async fn what_arrives_between_an_erasure_and_the_word_of_it_is_erased_first() {
    for (db, account) in grounds().await {
        let mut old = relay(&db, &account, &account.server, "old").await;
        let mut new = relay(&db, &account, &account.server, "new").await;
        record_one(&db, started(BOB, 0)).await;
        settle(&mut old).await.expect("publishes");
        old.step_down().await.expect("gives up the lead");
        settle(&mut new).await.expect("takes over");
        record_sessions(&db, 1..3).await;
        let late = store::unpublished(&db, 10).await.expect("reads");
        erase_ada(&db).await;
        let farewell = store::unpublished(&db, 10).await.expect("reads");
        let (chain, straggler) = (new.chain.as_mut().expect("with NATS"), old.chain.as_mut().expect("with NATS"));
        chain.erase(ADA).await.expect("erases");
        straggler.publish(&late, soon()).await.outcome.expect("arrives late");
        let refused = chain.publish(&farewell, soon()).await;
        assert!(refused.outcome.is_err() && refused.arrived == 0, "it would tell of what is not so");
        settle(&mut new).await.expect("erases again, and goes on");
        assert_eq!(hears(&account, "late").await, [OF_BOB, FAREWELL]);
    }
}

#[tokio::test]
async fn a_leader_that_dies_after_an_erasure_leaves_the_word_of_it_to_the_next() {
    for (db, account) in grounds().await {
        let mut dead = relay(&db, &account, &account.server, "a").await;
        record_sessions(&db, 0..3).await;
        settle(&mut dead).await.expect("publishes");
        erase_ada(&db).await;
        let erased = dead.chain.as_ref().expect("with NATS").erase(ADA).await;
        assert_eq!(erased.expect("erases"), 3);
        dead.step_down().await.expect("as if its lease had run out");
        let mut next = relay(&db, &account, &account.server, "b").await;
        settle(&mut next).await.expect("goes on");
        assert_eq!(hears(&account, "late").await, [FAREWELL]);
        record_sessions(&db, 3..5).await;
        settle(&mut next).await.expect("goes on");
        assert_eq!(hears(&account, "late").await, [OF_ADA, OF_ADA]);
    }
}

#[tokio::test]
async fn a_farewell_that_has_arrived_is_erased_by_nobody() {
    for (db, account) in grounds().await {
        let mut relay = relay(&db, &account, &account.server, "a").await;
        settle(&mut relay).await.expect("in step");
        erase_ada(&db).await;
        let farewell = store::unpublished(&db, 10).await.expect("reads");
        let chain = relay.chain.as_mut().expect("with NATS");
        chain.publish(&farewell, soon()).await.outcome.expect("arrives");
        chain.lose_step();
        settle(&mut relay).await.expect("finds it");
        assert_eq!(hears(&account, "late").await, [FAREWELL]);
        assert!(rows(&db).await.iter().all(|(_, position)| position.is_some()));
    }
}

#[tokio::test]
async fn a_stream_that_denies_deleting_is_refused_and_nobody_is_told_goodbye() {
    for (db, account) in grounds().await {
        let subjects = vec!["faceofmind.v1.>".to_owned()];
        let (name, storage) = (STREAM.to_owned(), StorageType::File);
        let denying = Config { name, subjects, storage, deny_delete: true, ..Config::default() };
        account.jetstream().await.create_stream(denying).await.expect("somebody else's idea of it");
        erase_ada(&db).await;
        let mut relay = relay(&db, &account, &account.server, "a").await;
        let error = settle(&mut relay).await.err().expect("refused").to_string();
        assert!(error.contains("denies deleting") && error.contains("nats stream rm FACEOFMIND"), "{error}");
        assert_eq!(hears(&account, "late").await, [""; 0]);
        assert!(rows(&db).await.iter().all(|(_, position)| position.is_none()), "it waits");
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}
