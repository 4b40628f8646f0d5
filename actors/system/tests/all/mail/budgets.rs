//! The most mails of a day.

use super::*;

impl TestContext {
    async fn queue(&self, reason: &MailReason, client: &str) {
        let mut tx = self.db.begin().await.expect("begins");
        let now = self.clock.now();
        let cause = Cause { client, request_id: None };
        enqueue(&mut tx, Rng::system().uuid_v7(now), reason, cause, now).await.expect("queues");
        tx.commit().await.expect("commits");
    }
}

fn on(number: u32) -> RequestContext {
    RequestContext { device: format!("device {number}"), ..client("phone") }
}

/// Codes have a bound for 10 minutes too, which would let 432 pass in a day.
#[tokio::test]
async fn what_strangers_cause_has_a_bound_and_uses_up_nothing_of_the_owner() {
    for (test, server) in contexts().await {
        test.person_at(&server, ADA).await;
        test.log_in(ADA, PASSWORD).await.expect("logs in");
        test.until_queued(0, 0).await;
        let before = server.mails().len();
        let reset = MailReason::PasswordReset { email: email(ADA) };
        for number in 0..15 {
            for client in ["eve", "mallory"] {
                test.queue(&reset, &format!("{client}{}", number / 6)).await;
            }
            test.until_queued(0, 0).await;
            test.advance(Duration::from_secs(601));
        }
        // At most one more: the welcome mail was of a stranger, because no log-in came before it.
        let mailed = server.mails().len() - before;
        assert!((10..=12).contains(&mailed), "{mailed}");
        test.queue(&reset, "phone").await;
        test.until_queued(0, 0).await;
        assert_eq!(server.mails().len(), before + mailed + 1, "the owner's network has a share of its own");
        for _ in 0..10 {
            let user = test.log_in(ADA, PASSWORD).await.expect("logs in").user.id;
            test.queue(&MailReason::PasswordChanged { user }, "").await;
        }
        until_mailed(&server, before + mailed + 11).await;
    }
}

#[tokio::test]
async fn notices_of_new_logins_beyond_five_an_hour_become_one_mail() {
    for (test, server) in contexts().await {
        test.person_at(&server, ADA).await;
        test.until_queued(0, 0).await;
        let before = server.mails().len();
        for number in 0..12 {
            test.log_in_from(on(number), ADA, PASSWORD).await.expect("logs in");
            // The first log-in of all has no notice. The next five have one each.
            if number < 6 {
                test.until_queued(0, 0).await;
            }
        }
        assert_eq!(server.mails().len(), before + 5);
        test.advance(Duration::from_secs(3601));
        test.until_queued(0, 0).await;
        assert_eq!(server.mails().len(), before + 6, "the other six are one mail");
    }
}
