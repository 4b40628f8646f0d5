//! Mails that are not sent at the first attempt.

use super::*;

#[tokio::test]
async fn a_mail_is_retried_with_backoff_as_the_same_mail() {
    for (world, server) in worlds().await {
        server.answers(|_| LATER);
        world.register(ADA, PASSWORD, "phone").await;
        for (attempts, wait) in [(1, 4), (2, 8), (3, 16)] {
            world.until_retried(attempts).await;
            let due = world.number("SELECT count(*) FROM mail_intents WHERE last_error LIKE '%451%'").await;
            assert_eq!((due, world.jobs().await.waiting), (1, 1));
            assert_eq!(server.mails().len() as u64, attempts, "not before it is due");
            world.advance(Duration::from_secs(wait));
        }
        server.answers(|_| "250 taken");
        world.until_queued(0, 0).await;
        let mails = server.mails();
        assert!(mails.len() >= 4 && mails.iter().all(|mail| mail.id == mails[0].id), "{mails:?}");
        let last = mails.last().expect("many");
        world.verify(ADA, last).await.expect("the code of the last attempt is valid");
    }
}

/// As after a restart, by another node, or when a wake-up was lost.
#[tokio::test]
async fn a_job_without_a_wake_up_is_sent() {
    for (world, server) in worlds().await {
        world.register(ADA, PASSWORD, "phone").await;
        until_mailed(&server, 1).await;
        world.until_queued(0, 0).await;
        let mut tx = world.db.begin().await.expect("begins");
        let (now, reason) = (world.clock.now(), MailReason::PasswordReset { email: email(ADA) });
        enqueue(&mut tx, Rng::system().uuid_v7(now), &reason, "phone", now).await.expect("queues");
        tx.commit().await.expect("commits");
        until_mailed(&server, 2).await;
    }
}

#[tokio::test]
async fn a_mail_that_is_refused_permanently_is_a_dead_letter() {
    for (world, server) in worlds().await {
        server.answers(|_| NEVER);
        world.register(ADA, PASSWORD, "phone").await;
        world.until_queued(0, 1).await;
        world.advance(Duration::from_secs(24 * 3600));
        world.register(BOB, PASSWORD, "phone").await;
        world.until_queued(0, 2).await;
        assert_eq!(server.mails().len(), 2, "dead letters are not retried");
        let sql = "SELECT count(*) FROM mail_intents WHERE last_error LIKE '%550 5.1.1%' AND last_error NOT LIKE '%@%'";
        assert_eq!(world.number(sql).await, 2, "the reason is stored, and no address");
        world.advance(Duration::from_secs(40 * 24 * 3600));
        world.kill("mailer").await;
        world.until_queued(0, 0).await;
    }
}

#[tokio::test]
async fn one_slow_recipient_delays_no_other() {
    for (world, server) in worlds().await {
        server.answers(|to| if to == ADA { SILENCE } else { "250 taken" });
        world.register(ADA, PASSWORD, "phone").await;
        until_mailed(&server, 1).await;
        for number in 0..10 {
            world.register(&format!("bob{number}@example.org"), PASSWORD, "phone").await;
        }
        until_mailed(&server, 11).await;
        world.until_queued(1, 0).await;
    }
}

#[tokio::test]
async fn after_sixteen_attempts_a_mail_is_a_dead_letter() {
    for (world, server) in worlds().await {
        server.answers(|_| LATER);
        world.register(ADA, PASSWORD, "phone").await;
        world.until_retried(1).await;
        world.run("UPDATE mail_intents SET attempts = 15").await;
        world.advance(Duration::from_secs(4));
        world.until_queued(0, 1).await;
    }
}

#[tokio::test]
async fn an_unreadable_or_never_finished_job_is_a_dead_letter() {
    for (world, server) in worlds().await {
        server.answers(|_| LATER);
        world.register(ADA, PASSWORD, "phone").await;
        world.register(BOB, PASSWORD, "phone").await;
        world.until_retried(2).await;
        world.run("UPDATE mail_intents SET attempts = 16 WHERE id = (SELECT min(id) FROM mail_intents)").await;
        let unreadable = r#"UPDATE mail_intents SET occasion = '{"why":"to come"}' WHERE attempts < 16"#;
        world.run(unreadable).await;
        world.advance(Duration::from_secs(4));
        world.until_queued(0, 2).await;
        assert_eq!(server.mails().len(), 2, "neither was retried");
    }
}
