//! Reminders as their owners create, read, update and delete them.

use super::*;

fn key(user: UserId, body: &[u8]) -> Option<IdempotencyKey> {
    Some(IdempotencyKey::new(user, "POST /api/v1/reminders", "a key", body))
}

#[tokio::test]
async fn a_reminder_is_created_read_updated_and_deleted() {
    for test in contexts().await {
        let ada = test.ada;
        let id = test.remind(TUESDAY).await;
        let created = test.get(ada, id).await.expect("exists");
        assert_eq!((created.id, created.user_id, created.title.as_str()), (id, ada, "Breathe"));
        assert_eq!((created.description.as_str(), created.reminder_time), ("Ten times", on_day(TUESDAY)));
        let second = test.remind(SUNDAY).await;
        let second = test.get(ada, second).await.expect("exists");
        assert_eq!(test.list(ada, 0, 10).await, [second.clone(), created.clone()]);
        assert_eq!(test.list(ada, 1, 1).await, std::slice::from_ref(&created));
        assert_eq!(test.update(id, ReminderChange::default()).await, created);
        let change = ReminderChange {
            title: Some("Walk".into()),
            description: Some(String::new()),
            reminder_time: Some(on_day("9999-12-31")),
            is_active: Some(false),
        };
        let updated = test.update(id, change).await;
        assert_eq!((updated.title.as_str(), updated.description.as_str()), ("Walk", ""));
        assert_eq!((updated.reminder_time, updated.is_active), (on_day("9999-12-31"), false));
        assert_eq!(test.get(ada, id).await.expect("exists"), updated);
        test.delete(ada, id).await.expect("deletes");
        assert_eq!(test.list(ada, 0, 10).await, [second]);
        assert!(matches!(test.get(ada, id).await, Err(ReminderError::NotFound)));
        assert!(matches!(test.delete(ada, id).await, Err(ReminderError::NotFound)));
    }
}

#[tokio::test]
async fn the_reminder_of_another_user_is_not_found() {
    for test in contexts().await {
        let id = test.remind(TUESDAY).await;
        let bob = testing::user(&test.db, "bob@example.org").await;
        let change = ReminderChange { is_active: Some(false), ..Default::default() };
        let updated = test.scheduler.ask(UpdateReminder { user: bob, id, change }).await;
        assert!(matches!(updated, Err(ReminderError::NotFound)));
        assert!(matches!(test.get(bob, id).await, Err(ReminderError::NotFound)));
        assert!(matches!(test.delete(bob, id).await, Err(ReminderError::NotFound)));
        assert!(test.list(bob, 0, 10).await.is_empty());
        assert!(test.get(test.ada, id).await.expect("exists").is_active);
    }
}

#[tokio::test]
async fn a_user_who_does_not_exist_cannot_create_a_reminder() {
    for test in contexts().await {
        let missing = UserId(4_000_000);
        let created = test.create(missing, new(TUESDAY), key(missing, b"")).await;
        assert!(matches!(created, Err(ReminderError::NotFound)));
    }
}

#[tokio::test]
async fn a_repeated_key_creates_one_reminder() {
    for test in contexts().await {
        let ada = test.ada;
        let message = || CreateReminder { user: ada, new: new(TUESDAY), key: key(ada, b"one"), respond };
        let first = test.scheduler.ask(message()).await.expect("creates");
        assert_eq!(test.scheduler.ask(message()).await.expect("replays"), first);
        let other = test.create(ada, new(WEDNESDAY), key(ada, b"two")).await;
        assert!(matches!(other, Err(ReminderError::KeyReused)));
        assert_eq!(test.number("SELECT count(*) FROM reminders").await, 1);
        assert_eq!(test.number("SELECT count(*) FROM reminder_schedules").await, 1);
    }
}

#[tokio::test]
async fn parallel_requests_create_no_more_than_the_maximum() {
    for test in &contexts().await {
        let ada = test.ada;
        let first = test.create(ada, new(TUESDAY), key(ada, b"one")).await.expect("creates");
        let copies = "INSERT INTO reminders (user_id, title, description, reminder_time, is_active, created_at) \
            WITH RECURSIVE copies (nth) AS (SELECT 3 UNION ALL SELECT nth + 1 FROM copies WHERE nth < $1) \
            SELECT user_id, title, description, reminder_time, is_active, created_at FROM reminders, copies";
        let mut tx = test.db.begin().await.expect("begins");
        with_conn!(tx.connection(), c => sqlx::query(copies).bind(MAX_REMINDERS).execute(c).await.map(drop))
            .expect("copies");
        tx.commit().await.expect("commits");
        let at_once = (0..8).map(|_| test.create(ada, new(TUESDAY), None));
        let (last, refused): (Vec<_>, Vec<_>) =
            futures_util::future::join_all(at_once).await.into_iter().partition(Result::is_ok);
        assert_eq!(last.len(), 1, "one was missing to the maximum");
        assert!(refused.iter().all(|one| matches!(one, Err(ReminderError::TooMany))), "{refused:?}");
        assert_eq!(test.create(ada, new(TUESDAY), key(ada, b"one")).await.expect("replays"), first);
        let bob = testing::user(&test.db, "bob@example.org").await;
        test.create(bob, new(TUESDAY), None).await.expect("creates");
        test.delete(ada, first).await.expect("deletes");
        test.remind(TUESDAY).await;
    }
}

#[tokio::test]
async fn erasing_a_user_deletes_their_reminders_and_no_others() {
    for test in contexts().await {
        let bob = testing::user(&test.db, "bob@example.org").await;
        for user in [test.ada, test.ada, bob] {
            test.create(user, new(TUESDAY), None).await.expect("creates");
        }
        let mut tx = test.db.begin().await.expect("begins");
        erase(&mut tx, test.ada).await.expect("erases");
        tx.commit().await.expect("commits");
        assert_eq!(test.texts("SELECT CAST(user_id AS text) FROM reminders").await, [bob.to_string()]);
        assert_eq!(test.number("SELECT count(*) FROM reminder_schedules").await, 1);
    }
}

#[tokio::test]
async fn parallel_updates_of_one_reminder_lose_no_change() {
    for test in contexts().await {
        let id = test.remind(TUESDAY).await;
        let title = ReminderChange { title: Some("Walk".into()), ..Default::default() };
        let date = ReminderChange { reminder_time: Some(on_day(WEDNESDAY)), ..Default::default() };
        tokio::join!(test.update(id, title), test.update(id, date));
        let reminder = test.get(test.ada, id).await.expect("exists");
        assert_eq!((reminder.title.as_str(), reminder.reminder_time), ("Walk", on_day(WEDNESDAY)));
        assert_eq!(test.due_at(id).await, Some(at(WEDNESDAY_AT_EIGHT)));
    }
}
