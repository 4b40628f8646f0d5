//! When a reminder is told, and when it is not.

use super::*;

#[tokio::test]
async fn a_reminder_is_told_once_at_eight_of_its_day() {
    for world in worlds().await {
        let id = world.remind(TUESDAY).await;
        assert_eq!(world.due_at(id).await, Some(at(TUESDAY_AT_EIGHT)));
        world.until_looked().await;
        assert_eq!(world.times_told(id).await, 0, "the day before");
        set(&world.clock, TUESDAY_AT_EIGHT);
        world.until_told(id, 1).await;
        set(&world.clock, WEDNESDAY_AT_EIGHT);
        world.until_looked().await;
        assert_eq!(world.times_told(id).await, 1);
        let told = world.texts(&format!("SELECT envelope FROM events WHERE aggregate = 'reminder/{id}'")).await;
        let told: Value = serde_json::from_str(&told[0]).expect("JSON");
        assert_eq!(told["causedby"], "system");
        let due_at = "2031-03-04T00:00:00+00:00";
        let data = serde_json::json!({ "user_id": world.ada, "reminder_id": id, "due_at": due_at });
        assert_eq!(told["data"], data, "and nothing that somebody wrote");
    }
}

#[tokio::test]
async fn what_is_for_today_is_told_at_once_and_what_is_over_never() {
    for world in worlds().await {
        let (over, today) = (world.remind(SUNDAY).await, world.remind(MONDAY).await);
        world.until_told(today, 1).await;
        set(&world.clock, TUESDAY_AT_EIGHT);
        world.until_looked().await;
        assert_eq!((world.times_told(over).await, world.due_at(over).await), (0, None));
    }
}

#[tokio::test]
async fn what_became_due_while_nobody_ran_is_told_within_a_day_and_not_later() {
    for world in worlds().await {
        let (tuesday, wednesday) = (world.remind(TUESDAY).await, world.remind(WEDNESDAY).await);
        world.tree.stop(Duration::from_secs(10)).await;
        set(&world.clock, "2031-03-05T23:59:00Z");
        let after = world.another_node().await;
        after.until_told(wednesday, 1).await;
        after.until_looked().await;
        assert_eq!((after.times_told(tuesday).await, after.due_at(tuesday).await), (0, None));
        let observed = after.observed().await.expect("observed");
        assert_eq!(observed["passed"], 1);
    }
}

#[tokio::test]
async fn another_date_or_switching_it_on_again_has_it_told_again_and_new_words_do_not() {
    for world in worlds().await {
        let id = world.remind(MONDAY).await;
        world.until_told(id, 1).await;
        let words = ReminderChange { title: Some("Walk".into()), ..ReminderChange::default() };
        assert_eq!(world.change(id, words).await.title, "Walk");
        let same = ReminderChange { reminder_time: Some(on_day(MONDAY)), is_active: Some(true), ..Default::default() };
        world.change(id, same).await;
        world.until_looked().await;
        assert_eq!(world.times_told(id).await, 1, "nothing that moves it");

        world.change(id, ReminderChange { reminder_time: Some(on_day(WEDNESDAY)), ..Default::default() }).await;
        set(&world.clock, WEDNESDAY_AT_EIGHT);
        world.until_told(id, 2).await;
        for is_active in [false, true] {
            world.change(id, ReminderChange { is_active: Some(is_active), ..Default::default() }).await;
        }
        world.until_told(id, 3).await;
    }
}

#[tokio::test]
async fn what_is_switched_off_put_off_or_deleted_is_not_told() {
    for world in worlds().await {
        let sleeps = NewReminder { is_active: false, ..new(TUESDAY) };
        let sleeps = fresh(world.reminders.create(world.ada, sleeps, None).await).id;
        let (off, put_off, gone) =
            (world.remind(TUESDAY).await, world.remind(TUESDAY).await, world.remind(TUESDAY).await);
        world.change(off, ReminderChange { is_active: Some(false), ..Default::default() }).await;
        world.change(put_off, ReminderChange { reminder_time: Some(on_day(WEDNESDAY)), ..Default::default() }).await;
        world.reminders.delete(world.ada, gone).await.expect("deletes");
        set(&world.clock, TUESDAY_AT_EIGHT);
        world.until_looked().await;
        for id in [sleeps, off, put_off, gone] {
            assert_eq!(world.times_told(id).await, 0);
        }
        assert_eq!(world.number("SELECT count(*) FROM reminder_schedules").await, 4, "the three, and the last one");
    }
}

#[tokio::test]
async fn what_becomes_due_while_the_account_is_not_active_passes() {
    for world in worlds().await {
        let ada = world.remind(TUESDAY).await;
        let bob = testing::user(&world.db, "bob@example.org").await;
        for status in ["suspended", "deactivated", "inactive"] {
            let id = fresh(world.reminders.create(bob, new(TUESDAY), None).await).id;
            world.run(&format!("UPDATE users SET status = '{status}' WHERE id = {bob}")).await;
            set(&world.clock, TUESDAY_AT_EIGHT);
            until("it passes", async || world.due_at(id).await.is_none()).await;
        }
        world.run(&format!("UPDATE users SET status = 'active' WHERE id = {bob}")).await;
        world.until_told(ada, 1).await;
        set(&world.clock, WEDNESDAY_AT_EIGHT);
        world.until_looked().await;
        let of_bob = format!("SELECT count(*) FROM events WHERE user_id = {bob}");
        assert_eq!(world.number(&of_bob).await, 0, "also after it is active again");
    }
}

#[tokio::test]
async fn what_is_due_is_mailed_only_as_long_as_it_is() {
    for world in worlds().await {
        let id = world.remind(TUESDAY).await;
        let told = async || world.reminders.told(id).await.expect("answers").is_some();
        assert!(!told().await, "not yet");
        set(&world.clock, TUESDAY_AT_EIGHT);
        world.until_told(id, 1).await;
        assert!(told().await);
        world.change(id, ReminderChange { is_active: Some(false), ..Default::default() }).await;
        assert!(!told().await, "switched off");
        let put_off =
            ReminderChange { reminder_time: Some(on_day(WEDNESDAY)), is_active: Some(true), ..Default::default() };
        world.change(id, put_off).await;
        assert!(!told().await, "put off");
        world.reminders.delete(world.ada, id).await.expect("deletes");
        assert!(!told().await, "gone");
    }
}
