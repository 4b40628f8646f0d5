//! When a reminder is sent, and when it is not.

use super::*;

#[tokio::test]
async fn a_reminder_is_sent_once_at_eight_of_its_day() {
    for test in contexts().await {
        let id = test.remind(TUESDAY).await;
        assert_eq!(test.due_at(id).await, Some(at(TUESDAY_AT_EIGHT)));
        test.until_dispatched().await;
        assert_eq!(test.times_sent(id).await, 0, "the day before");
        set(&test.clock, TUESDAY_AT_EIGHT);
        test.until_sent(id, 1).await;
        set(&test.clock, WEDNESDAY_AT_EIGHT);
        test.until_dispatched().await;
        assert_eq!(test.times_sent(id).await, 1);
        let sent = test.texts(&format!("SELECT envelope FROM events WHERE aggregate = 'reminder/{id}'")).await;
        let event: Value = serde_json::from_str(&sent[0]).expect("JSON");
        assert_eq!(event["causedby"], "system");
        let due_at = "2031-03-04T00:00:00+00:00";
        let data = serde_json::json!({ "user_id": test.ada, "reminder_id": id, "due_at": due_at });
        assert_eq!(event["data"], data, "and nothing that the user wrote");
    }
}

#[tokio::test]
async fn a_reminder_for_today_is_sent_at_once_and_one_for_a_past_day_never() {
    for test in contexts().await {
        let (over, today) = (test.remind(SUNDAY).await, test.remind(MONDAY).await);
        test.until_sent(today, 1).await;
        set(&test.clock, TUESDAY_AT_EIGHT);
        test.until_dispatched().await;
        assert_eq!((test.times_sent(over).await, test.due_at(over).await), (0, None));
    }
}

#[tokio::test]
async fn a_reminder_that_became_due_during_an_outage_is_sent_within_a_day_and_not_later() {
    for test in contexts().await {
        let (tuesday, wednesday) = (test.remind(TUESDAY).await, test.remind(WEDNESDAY).await);
        test.tree.stop(Duration::from_secs(10)).await;
        set(&test.clock, "2031-03-05T23:59:00Z");
        let after = test.another_node().await;
        after.until_sent(wednesday, 1).await;
        after.until_dispatched().await;
        assert_eq!((after.times_sent(tuesday).await, after.due_at(tuesday).await), (0, None));
        assert_eq!(after.status().await.expect("runs").service.dispatched.skipped, 1);
    }
}

#[tokio::test]
async fn another_date_has_a_reminder_sent_again_and_another_title_or_switching_it_does_not() {
    for test in contexts().await {
        let id = test.remind(MONDAY).await;
        test.until_sent(id, 1).await;
        let words = ReminderChange { title: Some("Walk".into()), ..ReminderChange::default() };
        assert_eq!(test.update(id, words).await.title, "Walk");
        let same = ReminderChange { reminder_time: Some(on_day(MONDAY)), is_active: Some(true), ..Default::default() };
        test.update(id, same).await;
        test.until_dispatched().await;
        assert_eq!(test.times_sent(id).await, 1, "neither change moves it");

        test.update(id, ReminderChange { reminder_time: Some(on_day(WEDNESDAY)), ..Default::default() }).await;
        set(&test.clock, WEDNESDAY_AT_EIGHT);
        test.until_sent(id, 2).await;
        for is_active in [false, true] {
            test.update(id, ReminderChange { is_active: Some(is_active), ..Default::default() }).await;
        }
        // Nor does a way round by another day.
        for day in ["2031-03-09", WEDNESDAY] {
            test.update(id, ReminderChange { reminder_time: Some(on_day(day)), ..Default::default() }).await;
        }
        test.until_dispatched().await;
        assert_eq!(test.times_sent(id).await, 2, "a reminder is sent once a day");
    }
}

#[tokio::test]
async fn a_change_waits_for_a_dispatch_under_way() {
    for test in contexts().await {
        let id = test.remind(WEDNESDAY).await;
        let mut dispatch = test.db.begin().await.expect("begins");
        let mark = "UPDATE reminder_schedules SET told_at = $1 WHERE reminder_id = $2";
        let sent_at = at(TUESDAY_AT_EIGHT);
        with_conn!(dispatch.connection(), c => sqlx::query(mark).bind(sent_at).bind(id).execute(c).await.map(drop))
            .expect("marks");
        let change = ReminderChange { reminder_time: Some(on_day(TUESDAY)), ..Default::default() };
        let end = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            dispatch.commit().await.expect("commits");
        };
        tokio::join!(test.update(id, change), end);
        set(&test.clock, TUESDAY_AT_EIGHT);
        test.until_dispatched().await;
        assert_eq!(test.times_sent(id).await, 0, "it was sent by the dispatch");
    }
}

#[tokio::test]
async fn a_reminder_that_is_switched_off_postponed_or_deleted_is_not_sent() {
    for test in contexts().await {
        let inactive = NewReminder { is_active: false, ..new(TUESDAY) };
        let inactive = test.create(test.ada, inactive, None).await.expect("creates");
        let (off, postponed, gone) =
            (test.remind(TUESDAY).await, test.remind(TUESDAY).await, test.remind(TUESDAY).await);
        test.update(off, ReminderChange { is_active: Some(false), ..Default::default() }).await;
        test.update(postponed, ReminderChange { reminder_time: Some(on_day(WEDNESDAY)), ..Default::default() }).await;
        test.delete(test.ada, gone).await.expect("deletes");
        set(&test.clock, TUESDAY_AT_EIGHT);
        test.until_dispatched().await;
        for id in [inactive, off, postponed, gone] {
            assert_eq!(test.times_sent(id).await, 0);
        }
        assert_eq!(test.number("SELECT count(*) FROM reminder_schedules").await, 4, "the three, and the last one");
    }
}

#[tokio::test]
async fn a_reminder_that_becomes_due_while_the_account_is_not_active_is_skipped() {
    for test in contexts().await {
        let ada = test.remind(TUESDAY).await;
        let bob = testing::user(&test.db, "bob@example.org").await;
        for status in ["suspended", "deactivated", "inactive"] {
            let id = test.create(bob, new(TUESDAY), None).await.expect("creates");
            test.run(&format!("UPDATE users SET status = '{status}' WHERE id = {bob}")).await;
            set(&test.clock, TUESDAY_AT_EIGHT);
            until("it is skipped", async || test.due_at(id).await.is_none()).await;
        }
        test.run(&format!("UPDATE users SET status = 'active' WHERE id = {bob}")).await;
        test.until_sent(ada, 1).await;
        set(&test.clock, WEDNESDAY_AT_EIGHT);
        test.until_dispatched().await;
        let of_bob = format!("SELECT count(*) FROM events WHERE user_id = {bob}");
        assert_eq!(test.number(&of_bob).await, 0, "also after it is active again");
    }
}

#[tokio::test]
async fn a_sent_reminder_is_mailed_unless_it_changes_before() {
    for test in contexts().await {
        let id = test.remind(TUESDAY).await;
        let is_mailed = async || test.scheduler.ask(FindSentReminder(id)).await.expect("reads").is_some();
        assert!(!is_mailed().await, "not yet");
        set(&test.clock, TUESDAY_AT_EIGHT);
        test.until_sent(id, 1).await;
        assert!(is_mailed().await);
        test.update(id, ReminderChange { is_active: Some(false), ..Default::default() }).await;
        assert!(!is_mailed().await, "switched off");
        let postponed =
            ReminderChange { reminder_time: Some(on_day(WEDNESDAY)), is_active: Some(true), ..Default::default() };
        test.update(id, postponed).await;
        assert!(!is_mailed().await, "postponed");
        test.delete(test.ada, id).await.expect("deletes");
        assert!(!is_mailed().await, "deleted");
    }
}
