//! Against a real nats-server, where `FOM_TEST_NATS` names one.

use async_nats::{
    header,
    jetstream::{
        message::PublishMessage,
        stream::{Config, StorageType},
    },
};
use testing::{NatsAccount, TcpProxy};

use super::*;
use crate::outbox::relay::{Part, Round};

/// The ids in the stream, in its order.
async fn stream_ids(account: &NatsAccount) -> Vec<String> {
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

async fn all_marked(db: &Database) -> bool {
    rows(db).await.iter().all(|(_, position)| position.is_some())
}

/// A node's relay, to be driven round by round.
pub(super) async fn relay(db: &Database, account: &NatsAccount, server: &str, name: &str) -> Relay {
    relay_with(db, testing::connect_nats(account.url(server)).await, name, Settings::default()).await
}

async fn relay_with(db: &Database, nats: Nats, name: &str, settings: Settings) -> Relay {
    let link = nats.link().clone();
    testing::until("NATS is connected", || async { link.is_up() }).await;
    Relay {
        settings,
        db: db.clone(),
        clock: Clock::system(),
        chain: Some(Chain::new(nats, settings.stream)),
        bus: Bus::new(16),
        holder: name.to_owned(),
        leads_until: None,
        swept: None,
        counted: None,
    }
}

pub(super) async fn settle(relay: &mut Relay) -> Result<Round, Failure> {
    loop {
        match relay.round().await {
            Ok(round) if round.more => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn each_event_arrives_once_and_in_order_over_a_wire_that_breaks() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let wire = TcpProxy::start(&account.server).await;
        let settings = Settings { poll: Duration::from_millis(20), ..Settings::default() };
        let office = Office::open(&db, settings, Some(testing::connect_nats(account.url(&wire.address)).await)).await;
        let mut bus = office.publisher.subscribe();
        let mut ids = Vec::new();
        for round in 0..8 {
            testing::until("the link stands", || async { office.publisher.is_up() }).await;
            match round % 2 {
                0 => wire.cut_after_sending(3_000 * (round + 1)),
                _ => wire.cut_after_receiving(700 * (round + 1)),
            }
            ids.extend(record_sessions(&db, round * 100..round * 100 + 100).await);
            office.publisher.wake();
            wire.until_cut().await;
            wire.restore();
        }
        testing::until("all is marked", || all_marked(&db)).await;
        assert_eq!(stream_ids(&account).await, ids);
        let heard = hear(&mut bus, ids.len()).await;
        assert!(heard.iter().zip(&ids).all(|(event, id)| event.envelope.contains(id.as_str())));
        office.close().await;
    }
}

#[tokio::test]
async fn what_arrived_unacknowledged_is_found_after_the_server_has_forgotten_its_ids() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let wire = TcpProxy::start(&account.server).await;
        let mut settings = Settings::default();
        settings.stream.duplicate_window = Duration::from_millis(100);
        let mut relay = relay_with(&db, testing::connect_nats(account.url(&wire.address)).await, "a", settings).await;
        settle(&mut relay).await.expect("in step");
        wire.cut_after_receiving(200);
        let ids = record_sessions(&db, 0..300).await;
        assert!(settle(&mut relay).await.is_err() || !all_marked(&db).await, "the acknowledgements are lost");
        forget_ids(&account).await;
        wire.restore();
        let link = relay.chain.as_ref().expect("with NATS").link().clone();
        testing::until("the link stands again", || async { link.is_up() }).await;
        settle(&mut relay).await.expect("goes on");
        assert_eq!(stream_ids(&account).await, ids);
        assert!(all_marked(&db).await);
    }
}

/// Waits until the server stores one id a second time: then it has forgotten all that came before it.
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
async fn a_server_killed_and_started_again_misses_and_repeats_nothing() {
    for db in testing::databases().await {
        let mut account = testing::nats_account().await;
        let mut server = testing::NatsServer::start().await;
        account.server.clone_from(&server.address);
        let mut settings = Settings::default();
        settings.stream.duplicate_window = Duration::from_millis(100);
        let mut relay = relay_with(&db, testing::connect_nats(account.url(&server.address)).await, "a", settings).await;
        let link = relay.chain.as_ref().expect("with NATS").link().clone();
        let mut ids = Vec::new();
        for kill in 0..3 {
            ids.extend(record_sessions(&db, kill * 10..kill * 10 + 10).await);
            settle(&mut relay).await.expect("goes on");
            // Started again, the server has forgotten the id of its last message.
            forget_ids(&account).await;
            server.kill_and_restart().await;
            testing::until("the link stands again", || async { link.is_up() }).await;
        }
        assert_eq!(stream_ids(&account).await, ids);
        assert!(all_marked(&db).await);
    }
}

#[tokio::test]
async fn a_strangers_message_and_a_purge_break_no_chain() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let jetstream = account.jetstream().await;
        let mut first = relay(&db, &account, &account.server, "a").await;
        let mut ids = record_sessions(&db, 0..3).await;
        settle(&mut first).await.expect("publishes");

        let strange = PublishMessage::build().message_id("stranger").payload("{}".into());
        jetstream.send_publish("faceofmind.v1.x", strange).await.expect("sent").await.expect("stored");
        ids.push("stranger".into());
        ids.extend(record_sessions(&db, 3..6).await);
        let refused = settle(&mut first).await.err().expect("a link that does not hold").to_string();
        assert!(refused.contains("last sequence"), "{refused}");
        settle(&mut first).await.expect("finds the end and goes on");
        assert_eq!(stream_ids(&account).await, ids);

        let stream = jetstream.get_stream(STREAM).await.expect("there");
        stream.purge().filter("faceofmind.v1.*.*.1").await.expect("purges Ada");
        let left = record_sessions(&db, 6..8).await;
        settle(&mut first).await.expect("the chain goes on");
        first.step_down().await.expect("gives up the lead");
        stream.purge().filter("faceofmind.v1.*.*.1").await.expect("purges Ada");
        let mut second = relay(&db, &account, &account.server, "b").await;
        let last = record_sessions(&db, 8..10).await;
        settle(&mut second).await.expect("goes on without the last message");
        assert_eq!(stream_ids(&account).await, [vec!["stranger".to_owned()], last].concat(), "after {left:?}");
    }
}

#[tokio::test]
async fn another_node_takes_over_and_the_old_leader_does_no_harm() {
    for db in testing::databases().await {
        let Database::Postgres(_) = &db else { continue };
        let account = testing::nats_account().await;
        let mut old = relay(&db, &account, &account.server, "old").await;
        let mut new = relay(&db, &account, &account.server, "new").await;
        let mut ids = record_sessions(&db, 0..3).await;
        assert_eq!(settle(&mut old).await.expect("leads").part, Part::Leads);
        assert_eq!(settle(&mut new).await.expect("follows").part, Part::Follows);
        // The old leader is as good as dead: it does not renew, and does not know how time flies.
        new.clock.advance(new.settings.lease);
        ids.extend(record_sessions(&db, 3..6).await);
        let waiting = store::unpublished(&db, 10).await.expect("reads");
        assert_eq!(settle(&mut new).await.expect("takes over").part, Part::Leads);
        old.leads_until = Some(tokio::time::Instant::now() + Duration::from_secs(60));
        let late =
            old.chain.as_mut().expect("with NATS").publish(&waiting, old.leads_until.expect("so it thinks")).await;
        assert!(late.outcome.is_ok(), "the server knows these ids");
        ids.extend(record_sessions(&db, 6..9).await);
        let round = old.round().await;
        assert!(round.is_err() || round.is_ok_and(|round| round.published == 0), "it cannot mark");
        settle(&mut new).await.expect("goes on");
        assert_eq!(stream_ids(&account).await, ids);
        let positions: Vec<_> = rows(&db).await.into_iter().filter_map(|(_, position)| position).collect();
        assert_eq!(positions, (1..=9).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn nodes_that_only_look_when_told_to_tell_one_another() {
    for db in testing::databases().await {
        let Database::Postgres(_) = &db else { continue };
        let account = testing::nats_account().await;
        // Who leads goes on to, however long the other takes to come.
        let settings = Settings { lease: Duration::from_secs(3600), ..only_when_woken() };
        let office = async |part: &'static str| {
            let office =
                Office::open(&db, settings, Some(testing::connect_nats(account.url(&account.server)).await)).await;
            testing::until("it has its part", || async {
                office.publisher.observe().await.is_ok_and(|seen| seen["part"] == part)
            })
            .await;
            office
        };
        let (leader, follower) = (office("leads").await, office("follows").await);
        let mut buses = [leader.publisher.subscribe(), follower.publisher.subscribe()];
        record_sessions(&db, 0..3).await;
        // Nobody hears a hint before they have subscribed, which is not seen from here.
        let wake_again = async {
            loop {
                follower.publisher.wake();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let heard = async {
            for bus in &mut buses {
                assert_eq!(hear(bus, 3).await.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 2, 3]);
            }
        };
        tokio::select! { () = heard => {}, () = wake_again => {} }
        leader.close().await;
        follower.close().await;
    }
}

#[tokio::test]
async fn without_nats_the_outbox_grows_and_then_all_flows() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let wire = TcpProxy::start(&account.server).await;
        wire.cut();
        let office =
            Office::open(&db, only_when_woken(), Some(testing::connect_nats(account.url(&wire.address)).await)).await;
        testing::until("it knows that it is cut off", || async {
            office.publisher.observe().await.is_ok_and(|seen| seen["part"] == "cut_off")
        })
        .await;
        assert!(!office.publisher.is_up());
        let ids = record_sessions(&db, 0..600).await;
        office.publisher.wake();
        assert!(rows(&db).await.iter().all(|(_, position)| position.is_none()));
        wire.restore();
        testing::until("all is marked", || all_marked(&db)).await;
        assert!(office.publisher.is_up());
        assert_eq!(stream_ids(&account).await, ids);
        office.close().await;
    }
}

#[tokio::test]
async fn the_stream_is_set_as_the_settings_say_or_refused_with_a_way_out() {
    let db = testing::databases().await.remove(0);
    let account = testing::nats_account().await;
    let jetstream = account.jetstream().await;
    let mut settings = Settings::default();
    let mut relay = relay_with(&db, testing::connect_nats(account.url(&account.server)).await, "a", settings).await;
    settle(&mut relay).await.expect("creates it");
    settings.stream.max_age = Duration::from_secs(3600);
    let mut relay = relay_with(&db, testing::connect_nats(account.url(&account.server)).await, "a", settings).await;
    settle(&mut relay).await.expect("changes it");
    let config = jetstream.get_stream(STREAM).await.expect("there").cached_info().config.clone();
    assert_eq!((config.max_age, config.storage), (Duration::from_secs(3600), StorageType::File));
    assert_eq!((config.subjects, config.duplicate_window), (vec!["faceofmind.v1.>".into()], Duration::from_secs(120)));

    jetstream.delete_stream(STREAM).await.expect("deletes");
    let subjects = vec!["faceofmind.v1.>".to_owned()];
    let memory = Config { name: STREAM.into(), subjects, storage: StorageType::Memory, ..Config::default() };
    jetstream.create_stream(memory).await.expect("somebody else's idea of it");
    let mut relay = relay_with(&db, testing::connect_nats(account.url(&account.server)).await, "a", settings).await;
    let error = settle(&mut relay).await.err().expect("refused").to_string();
    assert!(error.contains("in memory") && error.contains("nats stream rm FACEOFMIND"), "{error}");
}
