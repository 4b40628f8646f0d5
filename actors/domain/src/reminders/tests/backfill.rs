//! Reminders that another program wrote, without a schedule.

use super::*;

impl TestContext {
    /// Inserts a reminder as another program writes it.
    async fn insert_unscheduled(&self, date: &str, is_active: bool) -> ReminderId {
        let sql = "INSERT INTO reminders (user_id, title, description, reminder_time, is_active, created_at) \
            VALUES ($1, 'Breathe', '', $2, $3, $4) RETURNING id";
        let mut tx = self.db.begin().await.expect("begins");
        let (id,): (ReminderId,) = with_conn!(tx.connection(), c => sqlx::query_as(sql)
            .bind(self.ada).bind(on_day(date)).bind(is_active).bind(self.clock.now())
            .fetch_one(c).await)
        .expect("a reminder");
        tx.commit().await.expect("commits");
        id
    }

    /// Waits until each reminder has its schedule.
    async fn until_backfilled(&self) {
        let without = "SELECT count(*) FROM reminders WHERE id NOT IN (SELECT reminder_id FROM reminder_schedules)";
        until("all are scheduled", async || self.number(without).await == 0).await;
    }
}

#[tokio::test]
async fn unscheduled_reminders_are_sent_from_today_on() {
    for test in contexts().await {
        test.tree.stop(Duration::from_secs(10)).await;
        test.run(&format!("INSERT INTO user_profiles (user_id, time_zone) VALUES ({}, 'Europe/Berlin')", test.ada))
            .await;
        let years_ago = test.insert_unscheduled("2026-01-01", true).await;
        let yesterday = test.insert_unscheduled(SUNDAY, true).await;
        let (today, tomorrow) =
            (test.insert_unscheduled(MONDAY, true).await, test.insert_unscheduled(TUESDAY, true).await);
        let off = test.insert_unscheduled(TUESDAY, false).await;
        let after = test.another_node().await;
        after.until_backfilled().await;
        for (id, due_at) in [
            (years_ago, None),
            (yesterday, None),
            (today, Some(at("2031-03-03T07:00:00Z"))),
            (tomorrow, Some(at("2031-03-04T07:00:00Z"))),
            (off, None),
        ] {
            assert_eq!(after.due_at(id).await, due_at);
        }
        set(&test.clock, "2031-03-03T07:00:00Z");
        after.until_sent(today, 1).await;
        set(&test.clock, "2031-03-04T07:00:00Z");
        after.until_sent(tomorrow, 1).await;
        for id in [years_ago, yesterday, off] {
            assert_eq!(after.times_sent(id).await, 0);
        }
    }
}

#[tokio::test]
async fn a_restart_schedules_nothing_again_and_more_than_a_page_is_scheduled() {
    for test in contexts().await {
        test.tree.stop(Duration::from_secs(10)).await;
        let sent = test.insert_unscheduled(MONDAY, true).await;
        let many: Vec<String> =
            (0..600).map(|_| format!("({}, 'Breathe', '', '{TUESDAY}', true, created_at)", test.ada)).collect();
        let copy =
            many.join(", ").replace("created_at", &format!("(SELECT created_at FROM users WHERE id = {})", test.ada));
        test.run(&format!(
            "INSERT INTO reminders (user_id, title, description, reminder_time, is_active, created_at) VALUES {copy}"
        ))
        .await;
        let first = test.another_node().await;
        first.until_backfilled().await;
        first.until_sent(sent, 1).await;
        first.tree.stop(Duration::from_secs(10)).await;
        let second = test.another_node().await;
        second.until_dispatched().await;
        assert_eq!(second.times_sent(sent).await, 1);
        let pending = "SELECT count(*) FROM reminder_schedules WHERE due_at IS NOT NULL AND told_at IS NULL";
        assert_eq!(second.number(pending).await, 600);
    }
}

#[tokio::test]
async fn an_unscheduled_reminder_can_be_updated() {
    for test in contexts().await {
        // The first backfill is over when it has found one of them.
        let seen = test.insert_unscheduled(TUESDAY, true).await;
        test.tree.stop(Duration::from_secs(10)).await;
        let after = test.another_node().await;
        after.until_backfilled().await;
        assert!(after.due_at(seen).await.is_some());
        let (retitled, moved) =
            (after.insert_unscheduled(TUESDAY, true).await, after.insert_unscheduled(TUESDAY, true).await);
        after.update(retitled, ReminderChange { title: Some("Walk".into()), ..Default::default() }).await;
        after.update(moved, ReminderChange { reminder_time: Some(on_day(WEDNESDAY)), ..Default::default() }).await;
        assert_eq!(after.due_at(moved).await, Some(at(WEDNESDAY_AT_EIGHT)));
        after.tree.stop(Duration::from_secs(10)).await;
        let last = test.another_node().await;
        last.until_backfilled().await;
        assert_eq!(last.due_at(retitled).await, Some(at(TUESDAY_AT_EIGHT)));
        assert_eq!(last.due_at(moved).await, Some(at(WEDNESDAY_AT_EIGHT)));
    }
}
