//! The publisher and its relay against a real nats-server.

use std::collections::BTreeSet;

use async_nats::{
    header,
    jetstream::{
        message::PublishMessage,
        stream::{Config, StorageType},
    },
};
use testing::{NatsAccount, TcpProxy};

use super::*;
use crate::outbox::relay::{PassOutcome, Relay};

/// Returns the ids in the stream, in its order.
pub(super) async fn stream_ids(account: &NatsAccount) -> Vec<String> {
    let stream = account.jetstream().await.get_stream(STREAM).await.expect("the stream is there");
    let state = &stream.cached_info().state;
    let mut ids = Vec::new();
    for sequence in state.first_sequence..=state.last_sequence {
        if let Ok(message) = stream.get_raw_message(sequence).await {
            ids.push(message.headers.get(header::NATS_MESSAGE_ID).map(ToString::to_string).unwrap_or_default());
        }
    }
    ids
}

/// Returns the relay of a node, which the test drives pass by pass.
pub(super) async fn relay(db: &Database, account: &NatsAccount, server: &str, name: &str) -> Relay {
    relay_with(db, testing::connect_nats(account.url(server)).await, name, Settings::default()).await
}

async fn relay_with(db: &Database, nats: NatsConnection, name: &str, settings: Settings) -> Relay {
    let relay = Relay::new(settings, deps(db, &settings, Some(nats)), name.to_owned());
    until_connected(&relay).await;
    relay
}

async fn until_connected(relay: &Relay) {
    let connection = relay.connection().expect("with NATS");
    testing::until("NATS is connected", async || connection.is_connected()).await;
}

/// Runs passes until none has work, also after an erasure.
pub(super) async fn run_passes(relay: &mut Relay) -> Result<PassOutcome, OutboxError> {
    loop {
        match relay.run_pass().await {
            Ok(outcome) if outcome.more => {}
            Ok(_) if relay.sender.erasure.is_running() => relay.sender.erasure.wait().await,
            other => return other,
        }
    }
}

#[tokio::test]
async fn each_event_arrives_once_and_in_order_over_a_connection_that_breaks() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let proxy = TcpProxy::start(&account.server).await;
        let settings = Settings { poll_interval: Duration::from_millis(20), ..Settings::default() };
        let node = Node::start(&db, settings, Some(testing::connect_nats(account.url(&proxy.address)).await)).await;
        let mut bus = node.bus.subscribe();
        let mut ids = Vec::new();
        for round in 0..8 {
            node.until_up(true).await;
            match round % 2 {
                0 => proxy.cut_after_sending(3_000 * (round + 1)),
                _ => proxy.cut_after_receiving(700 * (round + 1)),
            }
            ids.extend(record_sessions(&db, round * 100..round * 100 + 100).await);
            node.publisher.tell(Wake);
            proxy.until_cut().await;
            proxy.restore();
        }
        testing::until("all events are published", || all_published(&db)).await;
        assert_eq!(stream_ids(&account).await, ids);
        let received = receive(&mut bus, ids.len()).await;
        assert!(received.iter().zip(&ids).all(|(event, id)| event.envelope.contains(id.as_str())));
        node.stop().await;
    }
}

#[tokio::test]
async fn an_event_that_arrived_unacknowledged_is_found_after_the_server_has_forgotten_its_id() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let proxy = TcpProxy::start(&account.server).await;
        let mut settings = Settings::default();
        settings.stream.duplicate_window = Duration::from_millis(100);
        let mut relay = relay_with(&db, testing::connect_nats(account.url(&proxy.address)).await, "a", settings).await;
        run_passes(&mut relay).await.expect("finds the end");
        proxy.cut_after_receiving(200);
        let ids = record_sessions(&db, 0..300).await;
        assert!(run_passes(&mut relay).await.is_err() || !all_published(&db).await, "the acknowledgements are lost");
        forget_ids(&account).await;
        proxy.restore();
        until_connected(&relay).await;
        run_passes(&mut relay).await.expect("goes on");
        assert_eq!(stream_ids(&account).await, ids);
        assert!(all_published(&db).await);
    }
}

/// A leader may die in the middle of a row. The rest follows what has arrived, before all other events.
#[tokio::test]
async fn a_row_that_arrived_in_part_is_continued() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let mut settings = Settings::default();
        settings.stream.duplicate_window = Duration::from_millis(100);
        let connect = async || testing::connect_nats(account.url(&account.server)).await;
        let mut dead = relay_with(&db, connect().await, "dead", settings).await;
        run_passes(&mut dead).await.expect("finds the end");
        let late = begin_earlier_row(&db).await;
        let mut ids = record_detections(&db, 1, 70).await;
        let mut rows_sent = store::pending::page(&db, 64, &[], Kinds::All).await.expect("reads");
        rows_sent[1].events.truncate(10);
        let until = tokio::time::Instant::now() + Duration::from_secs(10);
        let sent = dead.sender.writer.as_mut().expect("with NATS").publish(&rows_sent, until).await;
        assert_eq!((sent.arrived, sent.outcome.is_ok()), (42, true));
        dead.leadership.release().await.expect("as if its lease had expired");
        forget_ids(&account).await;
        if let Some((late, id)) = late {
            late.commit().await.expect("commits");
            ids.insert(64, id);
        }
        let mut next = relay_with(&db, connect().await, "next", settings).await;
        run_passes(&mut next).await.expect("goes on");
        assert_eq!(stream_ids(&account).await, ids);
        let positions = rows(&db).await.into_iter().filter_map(|row| row.1).collect::<BTreeSet<_>>();
        assert!(positions.is_superset(&[32, 64].into()), "{positions:?}");
    }
}

/// Records an event in a transaction that is still open; on PostgreSQL, because SQLite has one writer. Returns the event's id too.
async fn begin_earlier_row(db: &Database) -> Option<(Tx, String)> {
    let Database::Postgres(_) = db else { return None };
    let (mut tx, event) = (db.begin().await.expect("begins"), cloud_event(started(BOB, 1)));
    record(&mut tx, &event).await.expect("has the first number");
    Some((tx, event.id().to_string()))
}

/// Waits until the server stores one id a second time. Then it has forgotten all earlier ids.
async fn forget_ids(account: &NatsAccount) {
    let jetstream = account.jetstream().await;
    let window = Duration::from_millis(100);
    let subjects = vec!["probe".to_owned()];
    let config = Config { name: "PROBE".into(), subjects, duplicate_window: window, ..Config::default() };
    jetstream.create_or_update_stream(config).await.expect("a second stream");
    let send = || async {
        let message = PublishMessage::build().message_id("probe");
        jetstream.send_publish("probe", message).await.expect("sent").await.expect("stored").duplicate
    };
    send().await;
    testing::until("the id is forgotten", || async { !send().await }).await;
}

#[tokio::test]
async fn a_killed_and_restarted_server_misses_and_repeats_nothing() {
    for db in testing::databases().await {
        let mut account = testing::nats_account().await;
        let mut server = testing::NatsServer::start().await;
        account.server.clone_from(&server.address);
        let mut settings = Settings::default();
        settings.stream.duplicate_window = Duration::from_millis(100);
        let mut relay = relay_with(&db, testing::connect_nats(account.url(&server.address)).await, "a", settings).await;
        let mut ids = Vec::new();
        for kill in 0..3 {
            ids.extend(record_sessions(&db, kill * 10..kill * 10 + 10).await);
            run_passes(&mut relay).await.expect("goes on");
            // After the restart the server has forgotten the id of its last message.
            forget_ids(&account).await;
            server.kill_and_restart().await;
            until_connected(&relay).await;
        }
        assert_eq!(stream_ids(&account).await, ids);
        assert!(all_published(&db).await);
    }
}

#[tokio::test]
async fn a_message_of_another_client_and_a_purge_break_no_chain() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let jetstream = account.jetstream().await;
        let mut first = relay(&db, &account, &account.server, "a").await;
        let mut ids = record_sessions(&db, 0..3).await;
        run_passes(&mut first).await.expect("publishes");

        let foreign = PublishMessage::build().message_id("foreign").payload("{}".into());
        jetstream.send_publish("faceofmind.v1.x", foreign).await.expect("sent").await.expect("stored");
        ids.push("foreign".into());
        ids.extend(record_sessions(&db, 3..6).await);
        let refused = run_passes(&mut first).await.err().expect("the chain is broken").to_string();
        assert!(refused.contains("last sequence"), "{refused}");
        run_passes(&mut first).await.expect("finds the end and goes on");
        assert_eq!(stream_ids(&account).await, ids);

        let stream = jetstream.get_stream(STREAM).await.expect("there");
        stream.purge().filter("faceofmind.v1.*.*.1").await.expect("purges Ada");
        let left = record_sessions(&db, 6..8).await;
        run_passes(&mut first).await.expect("the chain goes on");
        first.leadership.release().await.expect("releases the lease");
        stream.purge().filter("faceofmind.v1.*.*.1").await.expect("purges Ada");
        let mut second = relay(&db, &account, &account.server, "b").await;
        let last = record_sessions(&db, 8..10).await;
        run_passes(&mut second).await.expect("goes on without the last message");
        assert_eq!(stream_ids(&account).await, [vec!["foreign".to_owned()], last].concat(), "after {left:?}");
    }
}

#[tokio::test]
async fn another_node_takes_over_and_the_old_leader_does_no_harm() {
    for db in testing::databases().await {
        let Database::Postgres(_) = &db else { continue };
        let account = testing::nats_account().await;
        let settings = Settings { lease: Duration::from_secs(1), ..Settings::default() };
        let connect = async || testing::connect_nats(account.url(&account.server)).await;
        let mut old = relay_with(&db, connect().await, "old", settings).await;
        let mut new = relay_with(&db, connect().await, "new", settings).await;
        let mut ids = record_sessions(&db, 0..3).await;
        assert_eq!(run_passes(&mut old).await.expect("leads").role, Role::Leader);
        assert_eq!(run_passes(&mut new).await.expect("follows").role, Role::Follower);
        // The old leader does not renew its lease, and does not know that it has expired.
        tokio::time::sleep(settings.lease).await;
        ids.extend(record_sessions(&db, 3..6).await);
        let pending = store::pending::page(&db, 10, &[], Kinds::All).await.expect("reads");
        assert_eq!(run_passes(&mut new).await.expect("takes over").role, Role::Leader);
        let until = tokio::time::Instant::now() + Duration::from_secs(60);
        old.leadership.until = Some(until);
        let late = old.sender.writer.as_mut().expect("with NATS").publish(&pending, until).await;
        assert!(late.outcome.is_ok(), "the server knows these ids");
        ids.extend(record_sessions(&db, 6..9).await);
        let outcome = old.run_pass().await;
        assert!(outcome.is_err() || outcome.is_ok_and(|outcome| outcome.published == 0), "it assigns no position");
        run_passes(&mut new).await.expect("goes on");
        assert_eq!(stream_ids(&account).await, ids);
        let positions: Vec<_> = rows(&db).await.into_iter().filter_map(|(_, position)| position).collect();
        assert_eq!(positions, (1..=9).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn nodes_that_do_not_poll_signal_one_another() {
    for db in testing::databases().await {
        let Database::Postgres(_) = &db else { continue };
        let account = testing::nats_account().await;
        // The leader stays the leader, however long the other node takes to start.
        let settings = Settings { lease: Duration::from_secs(3600), ..without_polls() };
        let start = async |role| {
            let nats = testing::connect_nats(account.url(&account.server)).await;
            let node = Node::start(&db, settings, Some(nats)).await;
            node.until_role(role).await;
            node
        };
        let (leader, follower) = (start(Role::Leader).await, start(Role::Follower).await);
        let mut buses = [leader.bus.subscribe(), follower.bus.subscribe()];
        record_sessions(&db, 0..3).await;
        // A node receives signals when it has subscribed, which the test cannot see.
        let wake_again = async {
            loop {
                follower.publisher.tell(Wake);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let received = async {
            for bus in &mut buses {
                assert_eq!(receive(bus, 3).await.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 2, 3]);
            }
        };
        tokio::select! { () = received => {}, () = wake_again => {} }
        leader.stop().await;
        follower.stop().await;
    }
}

#[tokio::test]
async fn without_nats_the_outbox_grows_and_then_all_is_published() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let proxy = TcpProxy::start(&account.server).await;
        proxy.cut();
        let nats = testing::connect_nats(account.url(&proxy.address)).await;
        let node = Node::start(&db, without_polls(), Some(nats)).await;
        node.until_role(Role::Disconnected).await;
        assert!(!node.status().await.is_up());
        let ids = record_sessions(&db, 0..600).await;
        node.publisher.tell(Wake);
        assert!(rows(&db).await.iter().all(|(_, position)| position.is_none()));
        proxy.restore();
        testing::until("all events are published", || all_published(&db)).await;
        node.until_up(true).await;
        assert_eq!(stream_ids(&account).await, ids);
        node.stop().await;
    }
}

#[tokio::test]
async fn the_stream_is_configured_from_the_settings_or_refused_with_a_remedy() {
    let db = testing::databases().await.remove(0);
    let account = testing::nats_account().await;
    let jetstream = account.jetstream().await;
    let mut settings = Settings::default();
    let mut relay = relay_with(&db, testing::connect_nats(account.url(&account.server)).await, "a", settings).await;
    run_passes(&mut relay).await.expect("creates it");
    settings.stream.max_age = Duration::from_secs(3600);
    let mut relay = relay_with(&db, testing::connect_nats(account.url(&account.server)).await, "a", settings).await;
    run_passes(&mut relay).await.expect("changes it");
    let config = jetstream.get_stream(STREAM).await.expect("there").cached_info().config.clone();
    assert_eq!((config.max_age, config.storage), (Duration::from_secs(3600), StorageType::File));
    assert_eq!((config.subjects, config.duplicate_window), (vec!["faceofmind.v1.>".into()], Duration::from_secs(120)));

    jetstream.delete_stream(STREAM).await.expect("deletes");
    let subjects = vec!["faceofmind.v1.>".to_owned()];
    let memory = Config { name: STREAM.into(), subjects, storage: StorageType::Memory, ..Config::default() };
    jetstream.create_stream(memory).await.expect("another configuration");
    let mut relay = relay_with(&db, testing::connect_nats(account.url(&account.server)).await, "a", settings).await;
    let error = run_passes(&mut relay).await.err().expect("refused").to_string();
    assert!(error.contains("in memory") && error.contains("nats stream rm FACEOFMIND"), "{error}");
}
