//! Mails that are not sent at the first attempt.

use super::*;

#[tokio::test]
async fn a_mail_is_retried_with_backoff_as_the_same_mail() {
    for (test, server) in contexts().await {
        server.answers(|_| LATER);
        test.register(ADA, PASSWORD, "phone").await;
        for (attempts, wait) in [(1, 4), (2, 8), (3, 16)] {
            test.until_retried(attempts).await;
            let due = test.number("SELECT count(*) FROM mail_intents WHERE last_error LIKE '%451%'").await;
            assert_eq!((due, test.jobs().await.waiting), (1, 1));
            assert_eq!(server.mails().len() as u64, attempts, "not before it is due");
            test.advance(Duration::from_secs(wait));
        }
        server.answers(|_| "250 taken");
        test.until_queued(0, 0).await;
        let mails = server.mails();
        assert!(mails.len() >= 4 && mails.iter().all(|mail| mail.id == mails[0].id), "{mails:?}");
        let last = mails.last().expect("many");
        test.verify(ADA, last).await.expect("the code of the last attempt is valid");
    }
}

/// Each further attempt may be a further copy.
#[tokio::test]
async fn a_mail_that_may_have_arrived_is_sent_again_after_ten_minutes_and_not_before() {
    for (test, server) in contexts().await {
        let mails_to_ada = || server.mails().iter().filter(|mail| mail.to == ADA).count();
        server.answers(|to| if to == ADA { HANG_UP } else { "250 taken" });
        test.register(ADA, PASSWORD, "phone").await;
        test.until_retried(1).await;
        test.advance(Duration::from_secs(570));
        // It is claimed after the clock was set, together with all that is due.
        test.register(BOB, PASSWORD, "phone").await;
        test.until_queued(1, 0).await;
        assert_eq!(
            test.number("SELECT count(*) FROM mail_intents WHERE attempts > 1").await,
            0,
            "it is not claimed again"
        );
        server.answers(|_| "250 taken");
        test.advance(Duration::from_secs(30));
        test.until_queued(0, 0).await;
        let (mails, copies) = (server.mails(), mails_to_ada());
        assert!(copies == 2 && mails.first().map(|mail| &mail.id) == mails.last().map(|mail| &mail.id), "{mails:?}");
    }
}

/// As after a restart, by another node, or when a wake-up was lost.
#[tokio::test]
async fn a_job_without_a_wake_up_is_sent() {
    for (test, server) in contexts().await {
        test.register(ADA, PASSWORD, "phone").await;
        until_mailed(&server, 1).await;
        test.until_queued(0, 0).await;
        let mut tx = test.db.begin().await.expect("begins");
        let (now, reason) = (test.clock.now(), MailReason::PasswordReset { email: email(ADA) });
        enqueue(&mut tx, Rng::system().uuid_v7(now), &reason, Cause::default(), now).await.expect("queues");
        tx.commit().await.expect("commits");
        until_mailed(&server, 2).await;
    }
}

#[tokio::test]
async fn a_mail_that_is_refused_permanently_is_a_dead_letter() {
    for (test, server) in contexts().await {
        server.answers(|_| NEVER);
        test.register(ADA, PASSWORD, "phone").await;
        test.until_queued(0, 1).await;
        test.advance(Duration::from_secs(24 * 3600));
        test.register(BOB, PASSWORD, "phone").await;
        test.until_queued(0, 2).await;
        assert_eq!(server.mails().len(), 2, "dead letters are not retried");
        let sql = "SELECT count(*) FROM mail_intents WHERE last_error LIKE '%550 5.1.1%' AND last_error NOT LIKE '%@%'";
        assert_eq!(test.number(sql).await, 2, "the reason is stored, and no address");
        test.advance(Duration::from_secs(40 * 24 * 3600));
        test.kill("mailer").await;
        test.until_queued(0, 0).await;
    }
}

#[tokio::test]
async fn one_slow_recipient_delays_no_other() {
    for (test, server) in contexts().await {
        server.answers(|to| if to == ADA { SILENCE } else { "250 taken" });
        test.register(ADA, PASSWORD, "phone").await;
        until_mailed(&server, 1).await;
        for number in 0..10 {
            test.register(&format!("bob{number}@example.org"), PASSWORD, "phone").await;
        }
        until_mailed(&server, 11).await;
        test.until_queued(1, 0).await;
    }
}

/// More recipients hang than there are senders.
#[tokio::test]
async fn twelve_hanging_recipients_delay_no_thirteenth() {
    for (test, server) in contexts().await {
        server.answers(|to| if to.starts_with("slow") { SILENCE } else { "250 taken" });
        for number in 0..12 {
            test.register(&format!("slow{number}@example.org"), PASSWORD, "phone").await;
        }
        test.register(ADA, PASSWORD, "phone").await;
        let mailed = async || server.mails().iter().any(|mail| mail.to == ADA);
        let waiting = until("the thirteenth is mailed", mailed);
        tokio::time::timeout(Duration::from_secs(6), waiting).await.expect("it is not delayed");
        test.until_in_flight(12).await;
        test.until_queued(12, 0).await;
    }
}

/// A recipient that hangs holds one sender, and the mails of others pass.
#[tokio::test]
async fn a_recipient_is_sent_one_mail_at_a_time_and_delays_no_other() {
    for (test, server) in contexts().await {
        let ada = test.person_at(&server, ADA).await;
        let sent = server.mails().len();
        server.answers(|_| SILENCE);
        let mut tx = test.db.begin().await.expect("begins");
        let now = test.clock.now();
        for _ in 0..20 {
            let reason = MailReason::PasswordChanged { user: ada };
            enqueue(&mut tx, Rng::system().uuid_v7(now), &reason, Cause::default(), now).await.expect("queues");
        }
        tx.commit().await.expect("commits");
        until_mailed(&server, sent + 1).await;
        test.register(BOB, PASSWORD, "phone").await;
        let mails = until_mailed(&server, sent + 2).await;
        assert_eq!(mails.iter().skip(sent).map(|mail| mail.to.as_str()).collect::<Vec<_>>(), [ADA, BOB]);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(server.mails().len(), sent + 2, "one mail at a time");
    }
}

#[tokio::test]
async fn after_sixteen_attempts_a_mail_is_a_dead_letter() {
    for (test, server) in contexts().await {
        server.answers(|_| LATER);
        test.register(ADA, PASSWORD, "phone").await;
        test.until_retried(1).await;
        test.run("UPDATE mail_intents SET attempts = 15").await;
        test.advance(Duration::from_secs(4));
        test.until_queued(0, 1).await;
    }
}

#[tokio::test]
async fn an_unreadable_or_never_finished_job_is_a_dead_letter() {
    for (test, server) in contexts().await {
        server.answers(|_| LATER);
        test.register(ADA, PASSWORD, "phone").await;
        test.register(BOB, PASSWORD, "phone").await;
        test.until_retried(2).await;
        test.run("UPDATE mail_intents SET attempts = 16 WHERE id = (SELECT min(id) FROM mail_intents)").await;
        let unreadable = r#"UPDATE mail_intents SET occasion = '{"why":"to come"}' WHERE attempts < 16"#;
        test.run(unreadable).await;
        test.advance(Duration::from_secs(4));
        test.until_queued(0, 2).await;
        assert_eq!(server.mails().len(), 2, "neither was retried");
    }
}

#[tokio::test]
async fn when_the_server_takes_mails_again_those_that_waited_go_out_at_once() {
    for (test, server) in contexts().await {
        server.answers(|_| "554 5.7.1 not from you");
        test.register(ADA, PASSWORD, "phone").await;
        test.until_retried(1).await;
        server.answers(|_| "250 taken");
        test.register(BOB, PASSWORD, "phone").await;
        // The clock stands still, and the next turn of the first mail is seconds away.
        test.until_queued(0, 0).await;
    }
}

/// A reset of an unknown address sends nothing, so it shows nothing about the mail server.
#[tokio::test]
async fn a_job_that_sends_nothing_does_not_end_the_wait_of_others() {
    for (test, server) in contexts().await {
        server.stop();
        test.register(ADA, PASSWORD, "phone").await;
        test.until_retried(1).await;
        // The next wait is of an hour.
        test.run("UPDATE mail_intents SET attempts = 12").await;
        test.advance(Duration::from_secs(4));
        test.until_retried(2).await;
        let mut tx = test.db.begin().await.expect("begins");
        let (now, reason) = (test.clock.now(), MailReason::PasswordReset { email: email(BOB) });
        enqueue(&mut tx, Rng::system().uuid_v7(now), &reason, Cause::default(), now).await.expect("queues");
        tx.commit().await.expect("commits");
        test.until_queued(1, 0).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        test.until_retried(2).await;
    }
}
