//! The scheduler on each database, at a time of the tests' choice: 10:00 on Monday, 3 March 2031 in Manila, the default zone.

use std::{collections::HashSet, sync::Arc, time::Duration};

use faceofmind_base::{Backoff, Clock, Rng, Timestamp};
use faceofmind_db::{Database, with_conn};
use faceofmind_model::{MailReason, UserId};
use faceofmind_platform::idempotency::{IdempotencyKey, StoredResponse};
use faceofmind_runtime::{Handle, RestartPolicy, ServiceStatus, Supervisor, SupervisorHandle, SupervisorSpec};
use jiff::tz::TimeZone;
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::{service::ReminderService, *};
use crate::testing::{self, at, on_day, set, until};

mod backfill;
mod crashes;
mod dispatch;
mod growth;
mod writing;

const START: &str = "2031-03-03T02:00:00Z";
const SUNDAY: &str = "2031-03-02";
const MONDAY: &str = "2031-03-03";
const TUESDAY: &str = "2031-03-04";
const WEDNESDAY: &str = "2031-03-05";
/// 08:00 in Manila.
const TUESDAY_AT_EIGHT: &str = "2031-03-04T00:00:00Z";
const WEDNESDAY_AT_EIGHT: &str = "2031-03-05T00:00:00Z";

/// A scheduler without a publisher and a mailer at work, so that its events and mail jobs stay where they are recorded.
struct TestContext {
    db: Database,
    scheduler: Handle<ReminderScheduler>,
    service: Arc<ReminderService>,
    clock: Clock,
    tree: SupervisorHandle,
    ada: UserId,
}

/// A scheduler on each database.
async fn contexts() -> Vec<TestContext> {
    let mut contexts = Vec::new();
    for db in testing::databases().await {
        let ada = testing::user(&db, "ada@example.org").await;
        contexts.push(TestContext::on(db, clock(), ada).await);
    }
    contexts
}

/// A clock that shows [`START`].
fn clock() -> Clock {
    let clock = Clock::system();
    set(&clock, START);
    clock
}

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

impl TestContext {
    async fn on(db: Database, clock: Clock, ada: UserId) -> Self {
        let mut platform = testing::platform(&db, &clock);
        platform.time_zone = TimeZone::get("Asia/Manila").expect("a zone");
        let service = Arc::new(ReminderService::new(platform));
        let (scheduler, child) = ReminderScheduler::new(Arc::clone(&service));
        let backoff = Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(1) };
        let policy = RestartPolicy { max_restarts: 100, backoff, ..RestartPolicy::default() };
        let spec = SupervisorSpec { children: vec![child], policy, clock: clock.clone(), rng: Rng::system() };
        let tree = Supervisor::start(spec).await.expect("starts");
        Self { db, scheduler, service, clock, tree, ada }
    }

    /// Another node on the same database, with the same clock.
    async fn another_node(&self) -> Self {
        Self::on(self.db.clone(), self.clock.clone(), self.ada).await
    }

    async fn create(
        &self,
        user: UserId,
        new: NewReminder,
        key: Option<IdempotencyKey>,
    ) -> Result<ReminderId, ReminderError> {
        let response = self.scheduler.ask(CreateReminder { user, new, key, respond }).await?;
        assert_eq!(response.status, 201);
        Ok(ReminderId(response.body.parse().expect("an id")))
    }

    /// Creates a reminder of Ada for that day.
    async fn remind(&self, date: &str) -> ReminderId {
        self.create(self.ada, new(date), None).await.expect("creates")
    }

    async fn get(&self, user: UserId, id: ReminderId) -> Result<Reminder, ReminderError> {
        self.scheduler.ask(GetReminder { user, id }).await
    }

    async fn update(&self, id: ReminderId, change: ReminderChange) -> Reminder {
        self.scheduler.ask(UpdateReminder { user: self.ada, id, change }).await.expect("updates")
    }

    async fn delete(&self, user: UserId, id: ReminderId) -> Result<(), ReminderError> {
        self.scheduler.ask(DeleteReminder { user, id }).await
    }

    /// Waits until all due reminders have been dispatched: a new one that is due last has been sent.
    async fn until_dispatched(&self) {
        let today = self.clock.now().to_jiff().to_zoned_datetime(TimeZone::get("Asia/Manila").expect("a zone"));
        let eight = today.with().hour(8).minute(0).second(0).subsec_nanosecond(0).build().expect("a time");
        self.clock.advance(Timestamp::from(eight.timestamp()).since(self.clock.now()));
        let last = self.remind(&today.date().to_string()).await;
        until("the last one is sent", async || self.times_sent(last).await == 1).await;
    }

    async fn until_sent(&self, id: ReminderId, times: i64) {
        until("it is sent", async || self.times_sent(id).await >= times).await;
        assert_eq!(self.times_sent(id).await, times);
    }

    /// How often a reminder was sent: the number of its events, which is that of its mail jobs.
    async fn times_sent(&self, id: ReminderId) -> i64 {
        let reason = MailReason::Reminder { user: self.ada, reminder: id };
        let reason = serde_json::to_string(&reason).expect("JSON");
        let sql = "SELECT (SELECT count(*) FROM events WHERE aggregate = $1), \
            (SELECT count(*) FROM mail_intents WHERE occasion = $2)";
        let mut reader = self.db.read_conn().await.expect("reads");
        let (events, jobs): (i64, i64) = with_conn!(reader.connection(), c => sqlx::query_as(sql)
            .bind(format!("reminder/{id}")).bind(reason).fetch_one(c).await)
        .expect("counts");
        assert_eq!(events, jobs, "an event and a mail job, or neither");
        events
    }

    /// The ids of the sent reminders, each as often as it was sent.
    async fn all_sent(&self) -> Vec<i64> {
        let mut sent: Vec<i64> = self
            .texts("SELECT envelope FROM events ORDER BY seq")
            .await
            .iter()
            .map(|envelope| serde_json::from_str::<Value>(envelope).expect("JSON"))
            .filter(|event| event["type"] == "faceofmind.v1.reminder.due")
            .map(|event| event["data"]["reminder_id"].as_i64().expect("an id"))
            .collect();
        sent.sort_unstable();
        sent
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

    /// When it is due, or was.
    async fn due_at(&self, id: ReminderId) -> Option<Timestamp> {
        let sql = "SELECT due_at FROM reminder_schedules WHERE reminder_id = $1";
        let mut reader = self.db.read_conn().await.expect("reads");
        let (due_at,): (Option<Timestamp>,) =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).bind(id).fetch_one(c).await).expect("a schedule");
        due_at
    }

    /// The actor's status, unless it is restarting.
    async fn status(&self) -> Option<ServiceStatus<Status>> {
        self.scheduler.status().await.ok()
    }
}
