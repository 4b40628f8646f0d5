//! The most mails of a day.

use faceofmind_domain::reminders::{CreateReminder, NewReminder, Reminder};
use faceofmind_model::ReminderId;
use faceofmind_platform::idempotency::StoredResponse;
use faceofmind_testing::on_day;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl TestContext {
    async fn queue(&self, reason: &MailReason, client: &str) {
        let mut tx = self.db.begin().await.expect("begins");
        let now = self.clock.now();
        let cause = Cause { client, request_id: None };
        enqueue(&mut tx, Rng::system().uuid_v7(now), reason, cause, now).await.expect("queues");
        tx.commit().await.expect("commits");
    }

    /// Waits until only folded notices are queued, as one job for each kind.
    async fn until_folded(&self, waiting: i64) {
        let others = "SELECT count(*) FROM mail_intents WHERE occasion NOT LIKE '{\"why\":\"folded_notices\",%'";
        until("the other mails are done", async || self.number(others).await == 0).await;
        assert_eq!(self.jobs().await, JobCounts { waiting, dead: 0 });
    }

    /// Creates a reminder that counts as sent.
    async fn sent_reminder(&self, user: UserId) -> ReminderId {
        let (title, description) = ("Breathe".into(), "Ten times".into());
        let new = NewReminder { title, description, reminder_time: on_day("2100-01-01"), is_active: true };
        let respond = |reminder: Reminder| StoredResponse { status: 201, body: reminder.id.to_string() };
        let message = CreateReminder { user, new, key: None, respond };
        let response = self.system.modules.reminders.ask(message).await.expect("creates");
        self.run("UPDATE reminder_schedules SET told_at = due_at").await;
        ReminderId(response.body.parse().expect("an id"))
    }
}

/// Creates a user who has logged in, and returns how many mails that caused.
async fn logged_in(test: &TestContext, server: &MailServer) -> usize {
    test.person_at(server, ADA).await;
    test.log_in(ADA, PASSWORD).await.expect("logs in");
    test.until_queued(0, 0).await;
    server.mails().len()
}

/// Returns the texts that give a number of tries.
fn folded(server: &MailServer) -> Vec<String> {
    server.mails().into_iter().map(|mail| mail.text).filter(|text| text.contains(" times:")).collect()
}

fn on(number: u32) -> RequestContext {
    RequestContext { device: format!("device {number}"), ..client("phone") }
}

/// Codes have a bound for 10 minutes too, which would let 432 pass in a day.
#[tokio::test]
async fn what_strangers_cause_has_a_bound_and_uses_up_nothing_of_the_owner() {
    for (test, server) in contexts().await {
        let before = logged_in(&test, &server).await;
        let reset = MailReason::PasswordReset { email: email(ADA) };
        for number in 0..15 {
            for client in ["eve", "mallory"] {
                test.queue(&reset, &format!("{client}{}", number / 6)).await;
            }
            test.until_queued(0, 0).await;
            test.advance(10 * MINUTE + SECOND);
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
        test.until_put_off(6).await;
        test.advance(HOUR + SECOND);
        test.until_queued(0, 0).await;
        assert_eq!(server.mails().len(), before + 6, "the other six are one mail");
    }
}

#[tokio::test]
async fn notices_of_registrations_beyond_what_strangers_may_cause_become_one_mail() {
    for (test, server) in contexts().await {
        let before = logged_in(&test, &server).await;
        for number in 0..15 {
            for client in ["eve", "mallory"] {
                test.register(ADA, PASSWORD, &format!("{client}{}", number / 6)).await;
            }
            test.until_folded(i64::from(number >= 5)).await;
            test.advance(10 * MINUTE + SECOND);
        }
        // The welcome mail was of a stranger.
        assert_eq!(server.mails().len(), before + 11);
        test.register(ADA, PASSWORD, "phone").await;
        test.until_folded(1).await;
        assert_eq!(server.mails().len(), before + 12, "the owner's network has a share of its own");
        test.advance(8 * HOUR);
        // What strangers cause meanwhile does not put it off again.
        for number in 0..15 {
            test.queue(&MailReason::PasswordReset { email: email(ADA) }, &format!("eve{number}")).await;
        }
        test.until_queued(0, 0).await;
        let folded = folded(&server);
        assert!(folded.len() == 1 && folded[0].contains("address, 19 times:"), "{folded:?}");
    }
}

/// Of one network, two registrations in ten minutes are stored.
#[tokio::test]
async fn registrations_that_are_not_stored_are_counted_in_one_mail_of_eight_hours() {
    for (test, server) in contexts().await {
        test.person_at(&server, ADA).await;
        test.until_queued(0, 0).await;
        let before = server.mails().len();
        let register_five_times = async || {
            for _ in 0..5 {
                test.register(ADA, PASSWORD, "eve").await;
            }
            test.until_folded(1).await;
            test.advance(10 * MINUTE + SECOND);
        };
        register_five_times().await;
        test.until_queued(0, 0).await;
        assert_eq!((server.mails().len(), folded(&server).len()), (before + 3, 1));
        register_five_times().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        test.until_folded(1).await;
        assert_eq!(server.mails().len(), before + 5, "the second folded mail waits");
        test.advance(8 * HOUR);
        test.until_queued(0, 0).await;
        let folded = folded(&server);
        assert!(folded.len() == 2 && folded.iter().all(|text| text.contains("address, 3 times:")), "{folded:?}");
        assert_eq!(server.mails().len(), before + 6);
    }
}

/// A day of reminders is over from one morning to the next.
#[tokio::test]
async fn fifty_reminders_are_mailed_in_twenty_hours_and_what_comes_after_is_dropped() {
    for (test, server) in contexts().await {
        let user = test.person_at(&server, ADA).await;
        let reminder = MailReason::Reminder { user, reminder: test.sent_reminder(user).await };
        let before = server.mails().len();
        for _ in 0..52 {
            test.queue(&reminder, "").await;
        }
        test.until_queued(0, 0).await;
        assert_eq!(server.mails().len(), before + 50);
        test.advance(20 * HOUR - MINUTE);
        test.queue(&reminder, "").await;
        test.queue(&MailReason::PasswordChanged { user }, "").await;
        test.until_queued(0, 0).await;
        assert_eq!(server.mails().len(), before + 51, "the notice alone");
        test.advance(MINUTE);
        test.queue(&reminder, "").await;
        test.until_queued(0, 0).await;
        assert_eq!(server.mails().len(), before + 52);
    }
}

/// A client gets two codes in 10 minutes, which would let 288 mails pass in a day.
#[tokio::test]
async fn networks_that_the_account_knows_cause_twenty_four_mails_in_a_day() {
    for (test, server) in contexts().await {
        let before = logged_in(&test, &server).await;
        let reset = MailReason::PasswordReset { email: email(ADA) };
        for mailed in [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 24] {
            for _ in 0..2 {
                test.queue(&reset, "phone").await;
            }
            test.until_queued(0, 0).await;
            assert_eq!(server.mails().len(), before + mailed);
            test.advance(10 * MINUTE);
        }
        test.queue(&reset, "eve").await;
        test.until_queued(0, 0).await;
        assert_eq!(server.mails().len(), before + 25, "strangers have a share of their own");
        test.advance(22 * HOUR);
        test.queue(&reset, "phone").await;
        test.until_queued(0, 0).await;
        assert_eq!(server.mails().len(), before + 26, "another day");
    }
}
