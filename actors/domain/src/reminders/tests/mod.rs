//! The room on each database, at a time of the tests' choice: 10:00 on Monday, 3 March 2031 in Manila, where those are who set no zone.

use std::collections::HashSet;

use faceofmind_base::{Backoff, CivilDate, Timestamp};
use faceofmind_db::with_conn;
use faceofmind_runtime::{RestartPolicy, Supervisor, SupervisorHandle, SupervisorSpec};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::*;
use crate::testing;
use crate::testing::until;
use faceofmind_model::MailReason;

mod adoption;
mod deaths;
mod telling;
mod writing;

const START: &str = "2031-03-03T02:00:00Z";
const SUNDAY: &str = "2031-03-02";
const MONDAY: &str = "2031-03-03";
const TUESDAY: &str = "2031-03-04";
const WEDNESDAY: &str = "2031-03-05";
/// 08:00 in Manila.
const TUESDAY_AT_EIGHT: &str = "2031-03-04T00:00:00Z";
const WEDNESDAY_AT_EIGHT: &str = "2031-03-05T00:00:00Z";

/// A room whose events and intents stay where they are recorded.
struct World {
    db: Database,
    reminders: Reminders,
    clock: Clock,
    tree: SupervisorHandle,
    ada: UserId,
}

/// The room on each database.
async fn worlds() -> Vec<World> {
    let mut worlds = Vec::new();
    for db in testing::databases().await {
        let ada = testing::user(&db, "ada@example.org").await;
        worlds.push(World::on(db, clock(), ada).await);
    }
    worlds
}

/// A clock that shows [`START`].
fn clock() -> Clock {
    let clock = Clock::system();
    set(&clock, START);
    clock
}

/// Sets a clock forward.
fn set(clock: &Clock, moment: &str) {
    clock.advance(at(moment).since(clock.now()));
}

fn at(moment: &str) -> Timestamp {
    moment.parse::<jiff::Timestamp>().expect("a moment").into()
}

fn on_day(date: &str) -> CivilDate {
    CivilDate(date.parse().expect("a date"))
}

fn new(date: &str) -> NewReminder {
    NewReminder {
        title: "Breathe".into(),
        description: "Ten times".into(),
        reminder_time: on_day(date),
        is_active: true,
    }
}

/// What was made now, and not before.
fn fresh(created: Created) -> Reminder {
    match created.expect("makes") {
        Once::Now(reminder) => reminder,
        Once::Again(answer) => panic!("was answered before: {answer:?}"),
    }
}

impl World {
    async fn on(db: Database, clock: Clock, ada: UserId) -> Self {
        let neighbours = Neighbours {
            publisher: testing::publisher(&db),
            mailer: Mailer::handle(),
            keyring: testing::keyring(),
            time_zone: TimeZone::get("Asia/Manila").expect("a zone"),
        };
        let (reminders, child) = Reminders::new(db.clone(), neighbours, (clock.clone(), Rng::system()));
        let backoff = Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(1) };
        let policy = RestartPolicy { max_restarts: 100, backoff, ..RestartPolicy::default() };
        let family = SupervisorSpec { children: vec![child], policy, clock: clock.clone(), rng: Rng::system() };
        let tree = Supervisor::start(family).await.expect("starts");
        Self { db, reminders, clock, tree, ada }
    }

    /// Another node on the same database, with the same clock.
    async fn another_node(&self) -> Self {
        Self::on(self.db.clone(), self.clock.clone(), self.ada).await
    }

    /// A reminder of Ada's for that day.
    async fn remind(&self, date: &str) -> ReminderId {
        fresh(self.reminders.create(self.ada, new(date), None).await).id
    }

    async fn change(&self, id: ReminderId, change: ReminderChange) -> Reminder {
        self.reminders.change(self.ada, id, change).await.expect("changes")
    }

    /// Waits until whatever is due has been looked at: one that is due now, and that nobody else knows of, has been told.
    async fn until_looked(&self) {
        let today = self.clock.now().to_jiff().to_zoned_datetime(TimeZone::get("Asia/Manila").expect("a zone"));
        let eight = today.with().hour(8).minute(0).second(0).subsec_nanosecond(0).build().expect("a time");
        self.clock.advance(Timestamp::from(eight.timestamp()).since(self.clock.now()));
        let last = self.remind(&today.date().to_string()).await;
        until("the last one is told", async || self.times_told(last).await == 1).await;
    }

    async fn until_told(&self, id: ReminderId, times: i64) {
        until("it is told", async || self.times_told(id).await >= times).await;
        assert_eq!(self.times_told(id).await, times);
    }

    /// How often a reminder was told: as many events as intents to mail.
    async fn times_told(&self, id: ReminderId) -> i64 {
        let occasion = MailReason::Reminder { user: self.ada, reminder: id };
        let occasion = serde_json::to_string(&occasion).expect("JSON");
        let sql = "SELECT (SELECT count(*) FROM events WHERE aggregate = $1), \
            (SELECT count(*) FROM mail_intents WHERE occasion = $2)";
        let mut reader = self.db.read_conn().await.expect("reads");
        let (events, intents): (i64, i64) = with_conn!(reader.connection(), c => sqlx::query_as(sql)
            .bind(format!("reminder/{id}")).bind(occasion).fetch_one(c).await)
        .expect("counts");
        assert_eq!(events, intents, "an event and an intent, or neither");
        events
    }

    /// Which reminders were told of, as often as they were.
    async fn all_told(&self) -> Vec<i64> {
        let mut told: Vec<i64> = self
            .texts("SELECT envelope FROM events ORDER BY seq")
            .await
            .iter()
            .map(|envelope| serde_json::from_str::<Value>(envelope).expect("JSON"))
            .filter(|event| event["type"] == "faceofmind.v1.reminder.due")
            .map(|event| event["data"]["reminder_id"].as_i64().expect("an id"))
            .collect();
        told.sort_unstable();
        told
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        let mut reader = self.db.read_conn().await.expect("reads");
        let rows: Vec<(String,)> =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_all(c).await).expect("texts");
        rows.into_iter().map(|(text,)| text).collect()
    }

    async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        let mut reader = self.db.read_conn().await.expect("reads");
        let (number,): (i64,) =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_one(c).await).expect("a number");
        number
    }

    async fn run(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        let mut tx = self.db.begin().await.expect("begins");
        with_conn!(tx.connection(), c => sqlx::query(sql).execute(c).await.map(drop)).expect("runs");
        tx.commit().await.expect("commits");
    }

    /// When it is to be told, or was.
    async fn due_at(&self, id: ReminderId) -> Option<Timestamp> {
        let sql = "SELECT due_at FROM reminder_schedules WHERE reminder_id = $1";
        let mut reader = self.db.read_conn().await.expect("reads");
        let (due_at,): (Option<Timestamp>,) =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).bind(id).fetch_one(c).await).expect("a schedule");
        due_at
    }

    async fn observed(&self) -> Option<Value> {
        self.tree.children()[0].status().await.ok()
    }
}
