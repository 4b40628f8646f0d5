//! What the predecessor left: reminders that stand without a schedule.

use super::*;

impl World {
    /// A reminder as the predecessor wrote it.
    async fn inherit(&self, date: &str, is_active: bool) -> ReminderId {
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
    async fn until_adopted(&self) {
        let without = "SELECT count(*) FROM reminders WHERE id NOT IN (SELECT reminder_id FROM reminder_schedules)";
        until("all are taken up", async || self.number(without).await == 0).await;
    }
}

#[tokio::test]
async fn reminders_of_the_predecessor_are_told_from_today_on() {
    for world in worlds().await {
        world.tree.stop(Duration::from_secs(10)).await;
        world
            .run(&format!("INSERT INTO user_profiles (user_id, time_zone) VALUES ({}, 'Europe/Berlin')", world.ada))
            .await;
        let years_ago = world.inherit("2026-01-01", true).await;
        let yesterday = world.inherit(SUNDAY, true).await;
        let (today, tomorrow) = (world.inherit(MONDAY, true).await, world.inherit(TUESDAY, true).await);
        let off = world.inherit(TUESDAY, false).await;
        let after = world.another_node().await;
        after.until_adopted().await;
        for (id, due_at) in [
            (years_ago, None),
            (yesterday, None),
            (today, Some(at("2031-03-03T07:00:00Z"))),
            (tomorrow, Some(at("2031-03-04T07:00:00Z"))),
            (off, None),
        ] {
            assert_eq!(after.due_at(id).await, due_at);
        }
        set(&world.clock, "2031-03-03T07:00:00Z");
        after.until_told(today, 1).await;
        set(&world.clock, "2031-03-04T07:00:00Z");
        after.until_told(tomorrow, 1).await;
        for id in [years_ago, yesterday, off] {
            assert_eq!(after.times_told(id).await, 0);
        }
    }
}

#[tokio::test]
async fn a_restart_takes_up_nothing_anew_and_more_than_a_page_is_taken_up() {
    for world in worlds().await {
        world.tree.stop(Duration::from_secs(10)).await;
        let told = world.inherit(MONDAY, true).await;
        let many: Vec<String> =
            (0..600).map(|_| format!("({}, 'Breathe', '', '{TUESDAY}', true, created_at)", world.ada)).collect();
        let copy =
            many.join(", ").replace("created_at", &format!("(SELECT created_at FROM users WHERE id = {})", world.ada));
        world
            .run(&format!(
                "INSERT INTO reminders (user_id, title, description, reminder_time, is_active, created_at) VALUES {copy}"
            ))
            .await;
        let first = world.another_node().await;
        first.until_adopted().await;
        first.until_told(told, 1).await;
        first.tree.stop(Duration::from_secs(10)).await;
        let second = world.another_node().await;
        second.until_looked().await;
        assert_eq!(second.times_told(told).await, 1);
        let waiting = "SELECT count(*) FROM reminder_schedules WHERE due_at IS NOT NULL AND told_at IS NULL";
        assert_eq!(second.number(waiting).await, 600);
    }
}

#[tokio::test]
async fn a_reminder_of_the_predecessor_can_be_changed_before_it_is_taken_up() {
    for world in worlds().await {
        // The first look for such reminders is over when one of them has been found.
        let seen = world.inherit(TUESDAY, true).await;
        world.tree.stop(Duration::from_secs(10)).await;
        let after = world.another_node().await;
        after.until_adopted().await;
        assert!(after.due_at(seen).await.is_some());
        let (worded, moved) = (after.inherit(TUESDAY, true).await, after.inherit(TUESDAY, true).await);
        after.change(worded, ReminderChange { title: Some("Walk".into()), ..Default::default() }).await;
        after.change(moved, ReminderChange { reminder_time: Some(on_day(WEDNESDAY)), ..Default::default() }).await;
        assert_eq!(after.due_at(moved).await, Some(at(WEDNESDAY_AT_EIGHT)));
        after.tree.stop(Duration::from_secs(10)).await;
        let last = world.another_node().await;
        last.until_adopted().await;
        assert_eq!(last.due_at(worded).await, Some(at(TUESDAY_AT_EIGHT)));
        assert_eq!(last.due_at(moved).await, Some(at(WEDNESDAY_AT_EIGHT)));
    }
}
