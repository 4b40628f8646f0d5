//! Reminders follow their users to another time zone and reach them by mail, in a whole actor system.

use std::{collections::HashSet, time::Duration};

use faceofmind_base::{Clock, Timestamp};
use faceofmind_db::with_conn;
use faceofmind_domain::{
    accounts::{DeleteUser, UpdateUser},
    reminders::{CreateReminder, NewReminder, Reminder, ReminderChange, UpdateReminder},
};
use faceofmind_model::{
    ReminderId, Status, UserChange, UserId,
    event::{EventContext, Initiator},
};
use faceofmind_platform::idempotency::StoredResponse;
use faceofmind_testing::{at, on_day, set};

use crate::support::{MailServer, Received, TestContext as SystemContext, databases, settings, until};

const ADA: &str = "ada@example.org";
/// 10:00 on Monday in Manila.
const START: &str = "2031-03-03T02:00:00Z";
const SUNDAY: &str = "2031-03-02";
const TUESDAY: &str = "2031-03-04";
const WEDNESDAY: &str = "2031-03-05";
/// 08:00 in Manila.
const TUESDAY_AT_EIGHT: &str = "2031-03-04T00:00:00Z";

fn new(date: &str) -> NewReminder {
    NewReminder {
        title: "Breathe".into(),
        description: "Ten times".into(),
        reminder_time: on_day(date),
        is_active: true,
    }
}

fn respond(reminder: Reminder) -> StoredResponse {
    StoredResponse { status: 201, body: reminder.id.to_string() }
}

/// An actor system whose clock shows [`START`], and its mail server.
struct TestContext {
    inner: SystemContext,
    server: MailServer,
}

async fn contexts() -> Vec<TestContext> {
    let mut contexts = Vec::new();
    for db in databases().await {
        let server = MailServer::start().await;
        let clock = Clock::system();
        set(&clock, START);
        let inner = SystemContext::with(db, server.transport(), None, &clock, settings()).await;
        contexts.push(TestContext { inner, server });
    }
    contexts
}

impl TestContext {
    /// Creates Ada in that zone.
    async fn ada_in(&self, zone: &str) -> UserId {
        let ada = faceofmind_testing::user(&self.inner.db, ADA).await;
        self.move_to(ada, zone).await;
        ada
    }

    async fn move_to(&self, user: UserId, zone: &str) {
        self.change(user, UserChange { time_zone: Some(zone.into()), ..UserChange::default() }).await;
    }

    async fn change(&self, user: UserId, change: UserChange) {
        let events = EventContext::new(Initiator::System);
        let message = UpdateUser { user, change, require_user_role: false, events };
        self.inner.system.modules.accounts.ask(message).await.expect("updates");
    }

    async fn remind(&self, user: UserId, date: &str) -> ReminderId {
        self.create(user, new(date)).await
    }

    async fn create(&self, user: UserId, new: NewReminder) -> ReminderId {
        let message = CreateReminder { user, new, key: None, respond };
        let response = self.inner.system.modules.reminders.ask(message).await.expect("creates");
        ReminderId(response.body.parse().expect("an id"))
    }

    async fn update(&self, user: UserId, id: ReminderId, change: ReminderChange) {
        self.inner.system.modules.reminders.ask(UpdateReminder { user, id, change }).await.expect("updates");
    }

    /// How often it was sent, by its events.
    async fn times_sent(&self, id: ReminderId) -> i64 {
        self.inner.number(&format!("SELECT count(*) FROM events WHERE aggregate = 'reminder/{id}'")).await
    }

    async fn due_at(&self, id: ReminderId) -> Option<Timestamp> {
        let sql = "SELECT due_at FROM reminder_schedules WHERE reminder_id = $1";
        let mut reader = self.inner.db.read_conn().await.expect("reads");
        let (due_at,): (Option<Timestamp>,) =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).bind(id).fetch_one(c).await).expect("a schedule");
        due_at
    }

    async fn until_sent(&self, id: ReminderId) {
        until("it is sent", async || self.times_sent(id).await > 0).await;
        self.inner.all_is_mailed().await;
    }

    /// The mails of reminders.
    fn mails(&self) -> Vec<Received> {
        self.server.mails().into_iter().filter(|mail| mail.subject.contains("reminder")).collect()
    }
}

#[tokio::test]
async fn a_reminder_follows_its_user_to_another_zone() {
    for test in contexts().await {
        let ada = test.ada_in("Asia/Manila").await;
        let id = test.remind(ada, TUESDAY).await;
        for (zone, due_at) in [
            ("America/New_York", "2031-03-04T13:00:00Z"),
            ("Pacific/Kiritimati", "2031-03-03T18:00:00Z"),
            ("Europe/Berlin", "2031-03-04T07:00:00Z"),
        ] {
            test.move_to(ada, zone).await;
            assert_eq!(test.due_at(id).await, Some(at(due_at)), "{zone}");
        }
        set(&test.inner.clock, "2031-03-04T07:00:00Z");
        test.until_sent(id).await;
        // In New York it is still before eight of that day.
        test.move_to(ada, "America/New_York").await;
        set(&test.inner.clock, "2031-03-04T13:00:00Z");
        let last = test.remind(ada, TUESDAY).await;
        test.until_sent(last).await;
        assert_eq!(test.times_sent(id).await, 1);
        assert_eq!(test.mails().len(), 2);
    }
}

#[tokio::test]
async fn a_move_to_where_eight_is_past_sends_the_reminder_at_once() {
    for test in contexts().await {
        let ada = test.ada_in("America/New_York").await;
        // Monday, 18:00 in New York, is Tuesday, 13:00 on Kiritimati.
        set(&test.inner.clock, "2031-03-03T23:00:00Z");
        let id = test.remind(ada, TUESDAY).await;
        test.move_to(ada, "Pacific/Kiritimati").await;
        test.until_sent(id).await;
    }
}

#[tokio::test]
async fn a_move_sends_no_reminder_for_a_past_day_and_skips_one_that_it_makes_a_day_late() {
    for test in contexts().await {
        let ada = test.ada_in("Asia/Manila").await;
        let past = test.remind(ada, SUNDAY).await;
        // In Pago Pago it is Sunday, 15:00.
        test.move_to(ada, "Pacific/Pago_Pago").await;
        assert_eq!(test.due_at(past).await, None);
        let id = test.remind(ada, TUESDAY).await;
        assert_eq!(test.due_at(id).await, Some(at("2031-03-04T19:00:00Z")));
        // Half an hour before it is due in Pago Pago, and 24 and a half after it was due on Kiritimati.
        set(&test.inner.clock, "2031-03-04T18:30:00Z");
        test.move_to(ada, "Pacific/Kiritimati").await;
        until("it is skipped", async || test.due_at(id).await.is_none()).await;
        assert_eq!((test.times_sent(past).await, test.times_sent(id).await), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reminders_written_during_a_move_are_due_in_the_last_zone() {
    for test in contexts().await {
        let ada = test.ada_in("Asia/Manila").await;
        let kept = test.remind(ada, WEDNESDAY).await;
        let zones = ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Europe/London"];
        let moves = async {
            for zone in zones {
                test.move_to(ada, zone).await;
            }
        };
        let writes = futures_util::future::join_all((0..24).map(|_| test.remind(ada, TUESDAY)));
        let put = |date| ReminderChange { reminder_time: Some(on_day(date)), ..ReminderChange::default() };
        let changes = async {
            for date in [TUESDAY, WEDNESDAY, TUESDAY, WEDNESDAY] {
                test.update(ada, kept, put(date)).await;
            }
        };
        let ((), ids, ()) = tokio::join!(moves, writes, changes);
        for id in ids {
            assert_eq!(test.due_at(id).await, Some(at("2031-03-04T08:00:00Z")), "08:00 in London");
        }
        assert_eq!(test.due_at(kept).await, Some(at("2031-03-05T08:00:00Z")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_user_during_the_dispatch_leaves_nothing() {
    for test in contexts().await {
        let ada = test.ada_in("Asia/Manila").await;
        for _ in 0..150 {
            test.remind(ada, TUESDAY).await;
        }
        set(&test.inner.clock, TUESDAY_AT_EIGHT);
        until("the first are sent", async || test.inner.event_names(ada).await.len() > 1).await;
        let events = EventContext::new(Initiator::System);
        let message = DeleteUser { user: ada, expected_revision: None, events };
        test.inner.system.modules.accounts.ask(message).await.expect("deletes");
        assert_eq!(test.inner.event_names(ada).await, ["user.deleted"]);
        for table in ["reminders", "reminder_schedules", "mail_intents"] {
            assert_eq!(test.inner.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        }
    }
}

#[tokio::test]
async fn the_mail_names_the_reminder_in_its_text_and_nowhere_else() {
    for test in contexts().await {
        let ada = test.ada_in("Asia/Manila").await;
        let new = NewReminder { description: "about my sleep".into(), title: "Dr. Cruz".into(), ..new(TUESDAY) };
        let id = test.create(ada, new).await;
        set(&test.inner.clock, TUESDAY_AT_EIGHT);
        test.until_sent(id).await;
        let mails = test.mails();
        assert_eq!(mails.len(), 1);
        let Received { to, subject, text, .. } = &mails[0];
        assert_eq!((to.as_str(), subject.as_str()), (ADA, "A reminder from FaceofMind"));
        assert!(
            text.contains("    Dr. Cruz") && text.contains("Date: 2031-03-04") && text.contains("Hello Ada"),
            "{text}"
        );
        assert!(!text.contains("sleep"), "the description stays in the app: {text}");
    }
}

#[tokio::test]
async fn a_reminder_switched_off_or_of_a_suspended_user_before_its_mail_is_sent_is_not_mailed() {
    for test in contexts().await {
        let (ada, bob) =
            (test.ada_in("Asia/Manila").await, faceofmind_testing::user(&test.inner.db, "bob@example.org").await);
        test.move_to(bob, "Asia/Manila").await;
        test.server.answers(|_| "451 4.7.1 later");
        let (off, suspended, kept) =
            (test.remind(ada, TUESDAY).await, test.remind(bob, TUESDAY).await, test.remind(ada, TUESDAY).await);
        set(&test.inner.clock, TUESDAY_AT_EIGHT);
        until("each is tried", async || {
            test.inner.number("SELECT count(*) FROM mail_intents WHERE last_error IS NOT NULL").await == 3
        })
        .await;
        let change = ReminderChange { is_active: Some(false), ..ReminderChange::default() };
        test.update(ada, off, change).await;
        test.change(bob, UserChange::status(Status::Suspended)).await;
        let ids = |mails: &[Received]| mails.iter().map(|mail| mail.id.clone()).collect::<HashSet<_>>();
        let before = test.mails();
        test.server.answers(|_| "250 accepted");
        test.inner.advance(Duration::from_secs(3600));
        test.inner.all_is_mailed().await;
        let after = ids(&test.mails()[before.len()..]);
        assert!(after.len() == 1 && after.is_subset(&ids(&before)), "the same mail again, and no other: {after:?}");
        assert_eq!((test.times_sent(suspended).await, test.times_sent(kept).await), (1, 1), "it was active at eight");
    }
}
