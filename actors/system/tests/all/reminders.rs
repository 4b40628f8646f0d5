//! Reminders follow their people to another time zone, and reach them by mail; in a whole house.

use super::*;
use crate::accounts::AccountChange;
use crate::support::{MailServer, Received, bounds};
use faceofmind_model::event::{EventContext, Initiator};
use faceofmind_model::user::Status;

const ADA: &str = "ada@example.org";

/// A whole house whose clock shows [`START`], and the server that it mails to.
struct Home {
    world: crate::support::World,
    server: MailServer,
}

/// One on each database.
async fn homes() -> Vec<Home> {
    let mut homes = Vec::new();
    for db in faceofmind_testing::databases().await {
        let server = MailServer::start().await;
        let world = crate::support::World::with(db, server.transport(), None, &clock(), bounds()).await;
        homes.push(Home { world, server });
    }
    homes
}

impl Home {
    /// Ada, who lives in that zone.
    async fn ada_in(&self, zone: &str) -> UserId {
        let ada = faceofmind_testing::user(&self.world.db, ADA).await;
        self.move_to(ada, zone).await;
        ada
    }

    async fn move_to(&self, user: UserId, zone: &str) {
        self.change(user, AccountChange { time_zone: Some(zone.into()), ..AccountChange::default() }).await;
    }

    async fn change(&self, user: UserId, change: AccountChange) {
        self.world.system.registry.change(user, change, EventContext::new(Initiator::System)).await.expect("changes");
    }

    async fn remind(&self, user: UserId, date: &str) -> ReminderId {
        fresh(self.world.system.reminders.create(user, new(date), None).await).id
    }

    /// How often it was told, by events.
    async fn times_told(&self, id: ReminderId) -> i64 {
        self.world.number(&format!("SELECT count(*) FROM events WHERE aggregate = 'reminder/{id}'")).await
    }

    async fn due_at(&self, id: ReminderId) -> Option<Timestamp> {
        let sql = "SELECT due_at FROM reminder_schedules WHERE reminder_id = $1";
        let mut reader = self.world.db.read_conn().await.expect("reads");
        let (due_at,): (Option<Timestamp>,) =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).bind(id).fetch_one(c).await).expect("a schedule");
        due_at
    }

    async fn until_told(&self, id: ReminderId) {
        until("it is told", async || self.times_told(id).await > 0).await;
        self.world.all_is_mailed().await;
    }

    /// The mails that remind.
    fn mails(&self) -> Vec<Received> {
        self.server.mails().into_iter().filter(|mail| mail.subject.contains("reminder")).collect()
    }
}

#[tokio::test]
async fn a_reminder_follows_its_person_to_another_zone() {
    for home in homes().await {
        let ada = home.ada_in("Asia/Manila").await;
        let id = home.remind(ada, TUESDAY).await;
        for (zone, due_at) in [
            ("America/New_York", "2031-03-04T13:00:00Z"),
            ("Pacific/Kiritimati", "2031-03-03T18:00:00Z"),
            ("Europe/Berlin", "2031-03-04T07:00:00Z"),
        ] {
            home.move_to(ada, zone).await;
            assert_eq!(home.due_at(id).await, Some(at(due_at)), "{zone}");
        }
        set(&home.world.clock, "2031-03-04T07:00:00Z");
        home.until_told(id).await;
        // Where it is still before eight of that day.
        home.move_to(ada, "America/New_York").await;
        set(&home.world.clock, "2031-03-04T13:00:00Z");
        let last = home.remind(ada, TUESDAY).await;
        home.until_told(last).await;
        assert_eq!(home.times_told(id).await, 1);
        assert_eq!(home.mails().len(), 2);
    }
}

#[tokio::test]
async fn who_moves_to_where_eight_is_past_is_told_at_once() {
    for home in homes().await {
        let ada = home.ada_in("America/New_York").await;
        // Monday, 18:00 in New York, is Tuesday, 13:00 on Kiritimati.
        set(&home.world.clock, "2031-03-03T23:00:00Z");
        let id = home.remind(ada, TUESDAY).await;
        home.move_to(ada, "Pacific/Kiritimati").await;
        home.until_told(id).await;
    }
}

#[tokio::test]
async fn a_move_wakes_no_day_that_was_over_and_what_it_puts_more_than_a_day_back_passes() {
    for home in homes().await {
        let ada = home.ada_in("Asia/Manila").await;
        let over = home.remind(ada, SUNDAY).await;
        // Where it is Sunday, 15:00.
        home.move_to(ada, "Pacific/Pago_Pago").await;
        assert_eq!(home.due_at(over).await, None);
        let id = home.remind(ada, TUESDAY).await;
        assert_eq!(home.due_at(id).await, Some(at("2031-03-04T19:00:00Z")));
        // Half an hour before, and 24 and a half after it was due on Kiritimati.
        set(&home.world.clock, "2031-03-04T18:30:00Z");
        home.move_to(ada, "Pacific/Kiritimati").await;
        until("it passes", async || home.due_at(id).await.is_none()).await;
        assert_eq!((home.times_told(over).await, home.times_told(id).await), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_its_person_moves_is_due_where_they_are_then() {
    for home in homes().await {
        let ada = home.ada_in("Asia/Manila").await;
        let kept = home.remind(ada, WEDNESDAY).await;
        let zones = ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Europe/London"];
        let moves = async {
            for zone in zones {
                home.move_to(ada, zone).await;
            }
        };
        let writes = futures_util::future::join_all((0..24).map(|_| home.remind(ada, TUESDAY)));
        let put = |date| ReminderChange { reminder_time: Some(on_day(date)), ..ReminderChange::default() };
        let changes = async {
            for date in [TUESDAY, WEDNESDAY, TUESDAY, WEDNESDAY] {
                home.world.system.reminders.change(ada, kept, put(date)).await.expect("changes");
            }
        };
        let ((), ids, ()) = tokio::join!(moves, writes, changes);
        for id in ids {
            assert_eq!(home.due_at(id).await, Some(at("2031-03-04T08:00:00Z")), "08:00 in London");
        }
        assert_eq!(home.due_at(kept).await, Some(at("2031-03-05T08:00:00Z")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_deleted_while_their_reminders_are_told_leaves_nothing() {
    for home in homes().await {
        let ada = home.ada_in("Asia/Manila").await;
        for _ in 0..150 {
            home.remind(ada, TUESDAY).await;
        }
        set(&home.world.clock, TUESDAY_AT_EIGHT);
        until("the first are told", async || home.world.told(ada).await.len() > 1).await;
        home.world.system.registry.delete(ada, EventContext::new(Initiator::System)).await.expect("deletes");
        assert_eq!(home.world.told(ada).await, ["user.deleted"]);
        for table in ["reminders", "reminder_schedules", "mail_intents"] {
            assert_eq!(home.world.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        }
    }
}

#[tokio::test]
async fn the_mail_names_the_reminder_in_its_text_and_nowhere_else() {
    for home in homes().await {
        let ada = home.ada_in("Asia/Manila").await;
        let new = NewReminder { description: "about my sleep".into(), title: "Dr. Cruz".into(), ..new(TUESDAY) };
        let id = fresh(home.world.system.reminders.create(ada, new, None).await).id;
        set(&home.world.clock, TUESDAY_AT_EIGHT);
        home.until_told(id).await;
        let mails = home.mails();
        assert_eq!(mails.len(), 1);
        let Received { to, subject, text, .. } = &mails[0];
        assert_eq!((to.as_str(), subject.as_str()), (ADA, "A reminder from FaceofMind"));
        assert!(
            text.contains("    Dr. Cruz") && text.contains("Date: 2031-03-04") && text.contains("Hello Ada"),
            "{text}"
        );
        assert!(!text.contains("sleep"), "what it is about stays in the app: {text}");
    }
}

#[tokio::test]
async fn what_is_switched_off_or_barred_before_its_mail_leaves_is_not_mailed() {
    for home in homes().await {
        let (ada, bob) =
            (home.ada_in("Asia/Manila").await, faceofmind_testing::user(&home.world.db, "bob@example.org").await);
        home.move_to(bob, "Asia/Manila").await;
        home.server.answers(|_| "451 4.7.1 later");
        let (off, barred, kept) =
            (home.remind(ada, TUESDAY).await, home.remind(bob, TUESDAY).await, home.remind(ada, TUESDAY).await);
        set(&home.world.clock, TUESDAY_AT_EIGHT);
        until("each is tried", async || {
            home.world.number("SELECT count(*) FROM mail_intents WHERE last_error IS NOT NULL").await == 3
        })
        .await;
        let change = ReminderChange { is_active: Some(false), ..ReminderChange::default() };
        home.world.system.reminders.change(ada, off, change).await.expect("changes");
        home.change(bob, AccountChange::of_status(Status::Suspended, false)).await;
        let ids = |mails: &[Received]| mails.iter().map(|mail| mail.id.clone()).collect::<HashSet<_>>();
        let before = home.mails();
        home.server.answers(|_| "250 taken");
        home.world.advance(Duration::from_secs(3600));
        home.world.all_is_mailed().await;
        let after = ids(&home.mails()[before.len()..]);
        assert!(after.len() == 1 && after.is_subset(&ids(&before)), "the same mail again, and no other: {after:?}");
        assert_eq!((home.times_told(barred).await, home.times_told(kept).await), (1, 1), "it was active at eight");
    }
}
