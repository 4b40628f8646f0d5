//! What the stream lost is published again from the outbox. Against a real nats-server.

use async_nats::jetstream::{
    message::{PublishMessage, StreamMessage},
    stream::Config,
};
use faceofmind_db::{lease, migrations};
use testing::NatsAccount;

use super::{
    super::leadership::LEASE,
    jetstream::{relay, run_passes, stream_ids},
    *,
};

/// Returns the stream's first `count` messages.
async fn first_messages(account: &NatsAccount, count: u64) -> Vec<StreamMessage> {
    let stream = account.jetstream().await.get_stream(STREAM).await.expect("the stream is there");
    let mut messages = Vec::new();
    for sequence in 1..=count {
        messages.push(stream.get_raw_message(sequence).await.expect("a message"));
    }
    messages
}

/// Replaces the stream by an older store, which holds these messages.
async fn restore(account: &NatsAccount, messages: Vec<StreamMessage>) {
    let jetstream = account.jetstream().await;
    let config = jetstream.get_stream(STREAM).await.expect("there").cached_info().config.clone();
    jetstream.delete_stream(STREAM).await.expect("deletes");
    jetstream.create_stream(config).await.expect("creates");
    for message in messages {
        let copy = PublishMessage::build().headers(message.headers).payload(message.payload);
        jetstream.send_publish(message.subject, copy).await.expect("sent").await.expect("stored");
    }
}

async fn restart(db: &Database, account: &NatsAccount) {
    let mut next = relay(db, account, &account.server, "next").await;
    run_passes(&mut next).await.expect("takes over and compares");
    next.leadership.release().await.expect("releases the lease");
}

#[tokio::test]
async fn what_a_deleted_stream_held_is_published_again_with_the_same_ids() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let node =
            Node::start(&db, with_fast_polls(), Some(testing::connect_nats(account.url(&account.server)).await)).await;
        let mut ids = record_sessions(&db, 0..600).await;
        testing::until("all events are published", || all_published(&db)).await;
        account.jetstream().await.delete_stream(STREAM).await.expect("deletes");
        testing::until("the stream is filled again", async || {
            account.jetstream().await.get_stream(STREAM).await.is_ok() && stream_ids(&account).await.len() == 600
        })
        .await;
        assert_eq!(stream_ids(&account).await, ids);
        ids.extend(record_sessions(&db, 600..603).await);
        testing::until("later events follow", async || stream_ids(&account).await == ids).await;
        testing::until("they have positions", || all_published(&db)).await;
        let positions: Vec<_> = rows(&db).await.into_iter().filter_map(|(_, position)| position).collect();
        assert_eq!(positions, (1..=603).collect::<Vec<_>>(), "positions stay");
        node.stop().await;
    }
}

#[tokio::test]
async fn an_older_stream_gets_what_it_lacks_and_holds_no_erased_user() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let mut first = relay(&db, &account, &account.server, "first").await;
        let record_of_bob = async |session| {
            let mut tx = db.begin().await.expect("begins");
            record(&mut tx, &cloud_event(started(BOB, session))).await.expect("records");
            tx.commit().await.expect("commits");
        };
        record_of_bob(100).await;
        record_sessions(&db, 0..4).await;
        run_passes(&mut first).await.expect("publishes");
        let older = first_messages(&account, 3).await;
        erase_ada(&db).await;
        record_of_bob(101).await;
        run_passes(&mut first).await.expect("erases Ada and goes on");
        let (ids, newer) = (rows(&db).await, stream_ids(&account).await);
        first.leadership.release().await.expect("releases the lease");
        restore(&account, older).await;
        for comparison in ["fills", "changes nothing"] {
            restart(&db, &account).await;
            assert_eq!(stream_ids(&account).await, newer, "{comparison}");
        }
        assert_eq!(newer, [0, 6, 5].map(|row: usize| ids[row].0.clone()), "Bob's events and user.deleted");
    }
}

#[tokio::test]
async fn a_gap_that_the_outbox_cannot_fill_is_named_until_it_is_accepted() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let mut first = relay(&db, &account, &account.server, "first").await;
        let ids = record_sessions(&db, 0..6).await;
        run_passes(&mut first).await.expect("publishes");
        first.leadership.release().await.expect("releases the lease");
        let older = first_messages(&account, 2).await;
        let mut tx = db.begin().await.expect("begins");
        run(&mut tx, "DELETE FROM events WHERE position IN (3, 4)").await;
        tx.commit().await.expect("commits");
        restore(&account, older).await;
        restart(&db, &account).await;
        assert_eq!(stream_ids(&account).await, [&ids[..2], &ids[4..]].concat());

        let node =
            Node::start(&db, with_fast_polls(), Some(testing::connect_nats(account.url(&account.server)).await)).await;
        testing::until("the gap is shown", async || {
            let status = node.status().await;
            status.gaps.first().is_some_and(|gap| (gap.first_position, gap.last_position) == (3, 4))
        })
        .await;
        assert_eq!(accept_gaps(&db).await.expect("accepts"), 1);
        testing::until("no gap is shown", async || node.status().await.gaps.is_empty()).await;
        node.stop().await;
    }
}

/// A power cut may take the last messages, in the middle of a row.
#[tokio::test]
async fn a_stream_that_lost_a_part_of_a_row_gets_the_rest() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let mut first = relay(&db, &account, &account.server, "first").await;
        let mut ids = record_detections(&db, 1, 70).await;
        run_passes(&mut first).await.expect("publishes");
        first.leadership.release().await.expect("releases the lease");
        for kept in [45, 64, 69, 1] {
            let messages = first_messages(&account, kept).await;
            restore(&account, messages).await;
            restart(&db, &account).await;
            assert_eq!(stream_ids(&account).await, ids, "{kept} were left");
        }
        assert_eq!(store::refill::gaps(&db).await.expect("reads"), []);
        ids.extend(record_detections(&db, 1, 3).await);
        restart(&db, &account).await;
        assert_eq!(stream_ids(&account).await, ids);
        assert_eq!(rows(&db).await.into_iter().filter_map(|row| row.1).collect::<Vec<_>>(), [32, 64, 70, 73]);
    }
}

/// On the way back each event gets a row of its own. Its message leads to the row that it shared before.
#[tokio::test]
async fn a_schema_that_was_reverted_and_migrated_again_publishes_nothing_again() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let mut first = relay(&db, &account, &account.server, "first").await;
        let mut ids = record_detections(&db, 1, 40).await;
        run_passes(&mut first).await.expect("publishes");
        first.leadership.release().await.expect("releases the lease");
        while migrations::down(&db, false).await.expect("nothing is lost").expect("a step").version > 17 {}
        migrations::migrate(&db).await.expect("migrates");
        assert_eq!(rows(&db).await.len(), 40);
        ids.extend(record_detections(&db, 1, 2).await);
        restart(&db, &account).await;
        assert_eq!(stream_ids(&account).await, ids);
        assert_eq!(store::refill::gaps(&db).await.expect("reads"), []);
    }
}

/// The stream has what the restored database lost.
#[tokio::test]
async fn a_database_restored_to_an_earlier_time_is_a_gap_once() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let mut first = relay(&db, &account, &account.server, "first").await;
        record_sessions(&db, 0..6).await;
        run_passes(&mut first).await.expect("publishes");
        first.leadership.release().await.expect("releases the lease");
        let mut tx = db.begin().await.expect("begins");
        run(&mut tx, "DELETE FROM events WHERE position > 4").await;
        tx.commit().await.expect("commits");
        restart(&db, &account).await;
        restart(&db, &account).await;
        let gaps = async || {
            let gaps = store::refill::gaps(&db).await.expect("reads");
            gaps.into_iter().map(|gap| (gap.first_position, gap.last_position)).collect::<Vec<_>>()
        };
        assert_eq!(gaps().await, [(5, 6)]);
        assert_eq!(accept_gaps(&db).await.expect("accepts"), 1);
        restart(&db, &account).await;
        assert_eq!((gaps().await, accept_gaps(&db).await.expect("accepts")), (Vec::new(), 0), "it stays accepted");
        record_sessions(&db, 6..8).await;
        restart(&db, &account).await;
        assert_eq!(gaps().await, [], "nor is it found behind new events");
    }
}

#[tokio::test]
async fn an_event_that_the_server_refuses_becomes_a_dead_letter_and_stops_no_other() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let mut ids = record_sessions(&db, 0..5).await;
        let mut tx = db.begin().await.expect("begins");
        let large = format!(
            "{{\"id\":\"large\",\"type\":\"faceofmind.v1.session.started\",\"data\":\"{}\"}}",
            "x".repeat(3_000_000)
        );
        with_conn!(tx.connection(), c => sqlx::query("UPDATE events SET envelope = $1 WHERE seq = 2")
            .bind(&large).execute(c).await.map(drop))
        .expect("as no module would write it");
        run(&mut tx, "UPDATE events SET envelope = 'not JSON' WHERE seq = 4").await;
        tx.commit().await.expect("commits");
        let mut relay = relay(&db, &account, &account.server, "a").await;
        run_passes(&mut relay).await.expect("goes on");
        ids.remove(3);
        ids.remove(1);
        assert_eq!(stream_ids(&account).await, ids);
        let backlog = store::backlog(&db).await.expect("counts");
        assert_eq!((backlog.events, backlog.refused, backlog.oldest), (0, 2, None));
    }
}

#[tokio::test]
async fn an_event_larger_than_the_stream_takes_becomes_a_dead_letter() {
    for db in testing::databases().await {
        let account = testing::nats_account().await;
        let mut relay = relay(&db, &account, &account.server, "a").await;
        run_passes(&mut relay).await.expect("creates the stream");
        let jetstream = account.jetstream().await;
        let config = jetstream.get_stream(STREAM).await.expect("there").cached_info().config.clone();
        jetstream.update_stream(Config { max_message_size: 2_000, ..config }).await.expect("an operator's limit");
        let mut ids = record_sessions(&db, 0..5).await;
        let mut tx = db.begin().await.expect("begins");
        let large = format!(
            "{{\"id\":\"large\",\"type\":\"faceofmind.v1.session.started\",\"data\":\"{}\"}}",
            "x".repeat(3_000)
        );
        with_conn!(tx.connection(), c => sqlx::query("UPDATE events SET envelope = $1 WHERE seq = 3")
            .bind(&large).execute(c).await.map(drop))
        .expect("as no module would write it");
        tx.commit().await.expect("commits");
        run_passes(&mut relay).await.expect("goes on");
        ids.remove(2);
        assert_eq!(stream_ids(&account).await, ids);
    }
}

#[tokio::test]
async fn a_follower_shows_that_events_wait() {
    for db in testing::databases().await {
        let Database::Postgres(_) = &db else { continue };
        let mut tx = db.begin().await.expect("begins");
        let hour = Duration::from_secs(3600);
        assert!(lease::acquire_in_tx(&mut tx, LEASE, "frozen", Clock::system().now(), hour).await.expect("leads"));
        tx.commit().await.expect("commits");
        let node = Node::start(&db, Settings { lease: hour, ..with_fast_polls() }, None).await;
        node.until_role(Role::Follower).await;
        node.until_up(true).await;
        record_sessions(&db, 0..3).await;
        let mut tx = db.begin().await.expect("begins");
        run(&mut tx, "UPDATE events SET recorded_at = recorded_at - interval '1 minute'").await;
        tx.commit().await.expect("commits");
        node.until_up(false).await;
        assert_eq!(node.status().await.backlog.events, 3);
        node.stop().await;
    }
}

/// A node that loses its link inside the transaction keeps its locks until the server ends the transaction.
#[tokio::test]
async fn a_leader_that_freezes_in_its_transaction_is_replaced() {
    for db in testing::databases().await {
        let Database::Postgres(_) = &db else { continue };
        let (now, length) = (Clock::system().now(), Duration::from_millis(300));
        let mut frozen = db.begin().await.expect("begins");
        assert!(lease::acquire_in_tx(&mut frozen, LEASE, "frozen", now, length).await.expect("leads"));
        let began = tokio::time::Instant::now();
        testing::until("another node leads", async || {
            lease::acquire(&db, LEASE, "other", now, length).await.is_ok_and(|held| held)
        })
        .await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(frozen.commit().await.is_err(), "the server has ended its transaction");
    }
}

#[tokio::test]
async fn the_clock_of_a_dead_leader_does_not_matter() {
    for db in testing::databases().await {
        let Database::Postgres(_) = &db else { continue };
        let (ahead, length) = (Clock::system().now() + Duration::from_secs(3600), Duration::from_millis(300));
        assert!(lease::acquire(&db, LEASE, "dead", ahead, length).await.expect("leads"));
        let now = Clock::system().now();
        assert!(!lease::acquire(&db, LEASE, "other", now, length).await.expect("asks"), "it has not expired");
        testing::until("another node leads", async || {
            lease::acquire(&db, LEASE, "other", now, length).await.expect("asks")
        })
        .await;
        let mut tx = db.begin().await.expect("begins");
        run(&mut tx, "UPDATE leases SET holder = 'earlier', expires_at = expires_at + interval '1 hour'").await;
        tx.commit().await.expect("commits");
        assert!(lease::acquire(&db, LEASE, "other", now, length).await.expect("asks"), "a clock was ahead");
    }
}
