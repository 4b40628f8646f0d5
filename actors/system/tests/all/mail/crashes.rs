//! Crashes of the mailer, and several nodes.

use super::*;

/// The server has the mail, and its reply is lost.
#[tokio::test]
async fn a_crash_before_the_job_is_done_sends_the_same_mail_again() {
    for (test, server) in contexts().await {
        server.answers(|_| SILENCE);
        test.register(ADA, PASSWORD, "phone").await;
        until_mailed(&server, 1).await;
        test.kill("mailer").await;
        server.answers(|_| "250 taken");
        assert_eq!(test.jobs().await, JobCounts { waiting: 1, dead: 0 });
        test.lapse_claims().await;
        let mails = until_mailed(&server, 2).await;
        assert_eq!(mails[0].id, mails[1].id);
        test.until_queued(0, 0).await;
    }
}

/// The claim lasts 10 s. The reply comes after 13 s.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reply_outlasts_no_claim_and_sends_no_second_mail() {
    for (test, server) in contexts().await {
        server.answers(|_| SILENCE);
        test.register(ADA, PASSWORD, "phone").await;
        until_mailed(&server, 1).await;
        tokio::time::sleep(Duration::from_secs(13)).await;
        assert_eq!(server.mails().len(), 1, "the claim is renewed while the mail is being sent");
    }
}

/// A process that ended without a word renews nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_claim_of_a_dead_mailer_lapses_after_ten_seconds() {
    for (test, server) in contexts().await {
        server.answers(|_| SILENCE);
        test.register(ADA, PASSWORD, "phone").await;
        until_mailed(&server, 1).await;
        test.kill("mailer").await;
        server.answers(|_| "250 taken");
        let mut half_seconds = 0;
        while server.mails().len() < 2 {
            assert!(half_seconds < 28, "the claim outlives its holder");
            tokio::time::sleep(Duration::from_millis(500)).await;
            half_seconds += 1;
        }
        assert!(half_seconds > 12, "the claim lapsed after {half_seconds} half seconds");
    }
}

#[tokio::test]
async fn a_mailer_that_crashes_repeatedly_loses_no_mail_and_frees_no_slot_twice() {
    for (test, server) in contexts().await {
        server.answers(|_| SILENCE);
        for number in 0..12 {
            test.register(&format!("ada{number}@example.org"), PASSWORD, "phone").await;
        }
        for _ in 0..3 {
            test.until_in_flight(8).await;
            test.kill("mailer").await;
            test.lapse_claims().await;
        }
        server.answers(|_| "250 taken");
        test.lapse_claims().await;
        test.until_queued(0, 0).await;
        let mut to: Vec<_> = server.mails().into_iter().map(|mail| mail.to).collect();
        to.sort();
        to.dedup();
        assert_eq!(to.len(), 12);
    }
}

#[tokio::test]
async fn a_request_to_a_mailer_that_crashes_fails_at_once() {
    for (test, _server) in contexts().await {
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(test.db.read_conn().await.expect("a connection"));
        }
        let mailer = test.system.platform.mailer.clone();
        let asking = tokio::spawn(async move { mailer.ask(CountJobs).await });
        until("it waits", async || test.system.platform.mailer.queue_len() == 1).await;
        test.system.platform.mailer.panic();
        let failed = asking.await.expect("no panic");
        assert!(matches!(failed, Err(MailError::Ask(AskError::Unavailable("mailer")))), "{failed:?}");
        drop(held);
        until("it is restarted", async || test.system.platform.mailer.ask(CountJobs).await.is_ok()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_nodes_one_sends_each_mail() {
    let server = MailServer::start().await;
    for db in faceofmind_testing::databases().await {
        if matches!(db, Database::Sqlite(..)) {
            continue;
        }
        let (one, two) = (test(db.clone(), &server).await, test(db, &server).await);
        let registering = (0..40).map(|number| {
            let node = if number % 2 == 0 { &one } else { &two };
            async move { node.register(&format!("ada{number}@example.org"), PASSWORD, &number.to_string()).await }
        });
        futures_util::future::join_all(registering).await;
        one.until_queued(0, 0).await;
        let mut ids: Vec<_> = server.mails().into_iter().map(|mail| mail.id).collect();
        assert_eq!(ids.len(), 40);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 40);
    }
}

#[tokio::test]
async fn a_mail_in_flight_is_done_before_the_mailer_stops() {
    for (test, server) in contexts().await {
        test.register(ADA, PASSWORD, "phone").await;
        until_mailed(&server, 1).await;
        test.system.tree.stop(Duration::from_secs(10)).await;
        assert_eq!(test.number("SELECT count(*) FROM mail_intents").await, 0);
    }
}
