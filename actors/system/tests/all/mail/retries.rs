//! What becomes of a mail that does not leave at the first try.

use super::*;

#[tokio::test]
async fn a_mail_is_tried_again_later_and_ever_later_as_the_same_mail() {
    for (world, server) in worlds().await {
        server.answers(|_| LATER);
        world.register(ADA, PASSWORD, "phone").await;
        for (tries, wait) in [(1, 4), (2, 8), (3, 16)] {
            world.until_done("put_back", tries).await;
            let due = world.number("SELECT count(*) FROM mail_intents WHERE last_error LIKE '%451%'").await;
            assert_eq!((due, world.queue().await.waiting), (1, 1));
            assert_eq!(server.mails().len() as u64, tries, "not before its time");
            world.advance(Duration::from_secs(wait));
        }
        server.answers(|_| "250 taken");
        world.until_queued(0, 0).await;
        let mails = server.mails();
        assert!(mails.len() >= 4 && mails.iter().all(|mail| mail.id == mails[0].id), "{mails:?}");
        let last = mails.last().expect("many");
        world.verify(ADA, last).await.expect("the code of the last try is good");
    }
}

/// By a restart, another node, or a wake-up that got lost.
#[tokio::test]
async fn what_nobody_was_woken_for_is_sent_all_the_same() {
    for (world, server) in worlds().await {
        world.register(ADA, PASSWORD, "phone").await;
        until_mailed(&server, 1).await;
        world.until_queued(0, 0).await;
        let mut tx = world.db.begin().await.expect("begins");
        let (now, occasion) = (world.clock.now(), MailReason::PasswordReset { email: crate::support::email(ADA) });
        queue(&mut tx, Rng::system().uuid_v7(now), &occasion, "phone", now).await.expect("queues");
        tx.commit().await.expect("commits");
        until_mailed(&server, 2).await;
    }
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_a_dead_letter() {
    for (world, server) in worlds().await {
        server.answers(|_| NEVER);
        world.register(ADA, PASSWORD, "phone").await;
        world.until_queued(0, 1).await;
        world.advance(Duration::from_secs(24 * 3600));
        world.register(BOB, PASSWORD, "phone").await;
        world.until_queued(0, 2).await;
        assert_eq!(server.mails().len(), 2, "the dead are not tried again");
        let told =
            "SELECT count(*) FROM mail_intents WHERE last_error LIKE '%550 5.1.1%' AND last_error NOT LIKE '%@%'";
        assert_eq!(world.number(told).await, 2, "the reason is kept, and no address");
        world.advance(Duration::from_secs(40 * 24 * 3600));
        world.kill("mailer").await;
        world.until_queued(0, 0).await;
    }
}

#[tokio::test]
async fn one_bad_address_delays_nobody() {
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
async fn after_sixteen_tries_a_mail_is_a_dead_letter() {
    for (world, server) in worlds().await {
        server.answers(|_| LATER);
        world.register(ADA, PASSWORD, "phone").await;
        world.until_done("put_back", 1).await;
        world.run("UPDATE mail_intents SET attempts = 15").await;
        world.advance(Duration::from_secs(4));
        world.until_queued(0, 1).await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_or_never_ends_is_a_dead_letter() {
    for (world, server) in worlds().await {
        server.answers(|_| LATER);
        world.register(ADA, PASSWORD, "phone").await;
        world.register(BOB, PASSWORD, "phone").await;
        world.until_done("put_back", 2).await;
        world.run("UPDATE mail_intents SET attempts = 16 WHERE id = (SELECT min(id) FROM mail_intents)").await;
        let unreadable = r#"UPDATE mail_intents SET occasion = '{"why":"to come"}' WHERE attempts < 16"#;
        world.run(unreadable).await;
        world.advance(Duration::from_secs(4));
        world.until_queued(0, 2).await;
        assert_eq!(server.mails().len(), 2, "neither was tried again");
    }
}
