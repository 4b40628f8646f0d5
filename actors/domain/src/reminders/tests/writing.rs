//! Reminders as their owner makes, sees and changes them.

use super::*;

fn key(user: UserId, body: &[u8]) -> Option<idempotency::Key> {
    Some(idempotency::Key::of(user, "POST /api/v1/reminders", "a key", body))
}

#[tokio::test]
async fn a_reminder_is_made_seen_changed_and_deleted() {
    for World { reminders, ada, .. } in &worlds().await {
        let made = fresh(reminders.create(*ada, new(TUESDAY), None).await);
        assert_eq!((made.user_id, made.title.as_str(), made.reminder_time), (*ada, "Breathe", on_day(TUESDAY)));
        assert_eq!(reminders.get(*ada, made.id).await.expect("is there"), made);
        let second = fresh(reminders.create(*ada, new(SUNDAY), None).await);
        assert_eq!(reminders.list(*ada, 0, 10).await.expect("lists"), [second.clone(), made.clone()]);
        assert_eq!(reminders.list(*ada, 1, 1).await.expect("lists"), std::slice::from_ref(&made));
        let nothing = reminders.change(*ada, made.id, ReminderChange::default()).await.expect("changes nothing");
        assert_eq!(nothing, made);
        let change = ReminderChange {
            title: Some("Walk".into()),
            description: Some(String::new()),
            reminder_time: Some(on_day("9999-12-31")),
            is_active: Some(false),
        };
        let changed = reminders.change(*ada, made.id, change).await.expect("changes");
        assert_eq!((changed.title.as_str(), changed.description.as_str()), ("Walk", ""));
        assert_eq!((changed.reminder_time, changed.is_active), (on_day("9999-12-31"), false));
        assert_eq!(reminders.get(*ada, made.id).await.expect("is there"), changed);
        reminders.delete(*ada, made.id).await.expect("deletes");
        assert_eq!(reminders.list(*ada, 0, 10).await.expect("lists"), [second]);
        assert!(matches!(reminders.get(*ada, made.id).await, Err(ReminderError::NotFound)));
        assert!(matches!(reminders.delete(*ada, made.id).await, Err(ReminderError::NotFound)));
    }
}

#[tokio::test]
async fn anothers_reminder_is_nowhere() {
    for world in worlds().await {
        let id = world.remind(TUESDAY).await;
        let bob = testing::user(&world.db, "bob@example.org").await;
        let change = ReminderChange { is_active: Some(false), ..Default::default() };
        assert!(matches!(world.reminders.get(bob, id).await, Err(ReminderError::NotFound)));
        assert!(matches!(world.reminders.change(bob, id, change).await, Err(ReminderError::NotFound)));
        assert!(matches!(world.reminders.delete(bob, id).await, Err(ReminderError::NotFound)));
        assert!(world.reminders.list(bob, 0, 10).await.expect("lists").is_empty());
        assert!(world.reminders.get(world.ada, id).await.expect("is there").is_active);
    }
}

#[tokio::test]
async fn who_does_not_exist_has_no_reminders() {
    for world in worlds().await {
        let nobody = UserId(4_000_000);
        let made = world.reminders.create(nobody, new(TUESDAY), key(nobody, b"")).await;
        assert!(matches!(made, Err(ReminderError::NotFound)));
    }
}

#[tokio::test]
async fn the_same_key_makes_one_reminder() {
    for world in worlds().await {
        let ada = world.ada;
        let made = fresh(world.reminders.create(ada, new(TUESDAY), key(ada, b"one")).await);
        let Ok(Once::Again(answer)) = world.reminders.create(ada, new(TUESDAY), key(ada, b"one")).await else {
            panic!("was answered before")
        };
        assert_eq!((answer.status, answer.body), (201, serde_json::to_string(&made).expect("JSON")));
        let other = world.reminders.create(ada, new(WEDNESDAY), key(ada, b"two")).await;
        assert!(matches!(other, Err(ReminderError::KeyReused)));
        assert_eq!(world.number("SELECT count(*) FROM reminders").await, 1);
        assert_eq!(world.number("SELECT count(*) FROM reminder_schedules").await, 1);
    }
}

#[tokio::test]
async fn a_user_may_have_so_many_reminders_and_no_more_also_when_they_are_made_at_once() {
    for World { reminders, ada, db, .. } in &worlds().await {
        let made = fresh(reminders.create(*ada, new(TUESDAY), key(*ada, b"one")).await);
        let copies = "INSERT INTO reminders (user_id, title, description, reminder_time, is_active, created_at) \
            WITH RECURSIVE copies (nth) AS (SELECT 3 UNION ALL SELECT nth + 1 FROM copies WHERE nth < $1) \
            SELECT user_id, title, description, reminder_time, is_active, created_at FROM reminders, copies";
        let mut tx = db.begin().await.expect("begins");
        with_conn!(tx.connection(), c => sqlx::query(copies).bind(MOST).execute(c).await.map(drop)).expect("copies");
        tx.commit().await.expect("commits");
        let at_once = (0..8).map(|_| reminders.create(*ada, new(TUESDAY), None));
        let (last, refused): (Vec<_>, Vec<_>) =
            futures_util::future::join_all(at_once).await.into_iter().partition(Result::is_ok);
        assert_eq!(last.len(), 1, "there was room for one");
        assert!(refused.iter().all(|one| matches!(one, Err(ReminderError::TooMany))), "{refused:?}");
        let again = reminders.create(*ada, new(TUESDAY), key(*ada, b"one")).await;
        assert!(matches!(again, Ok(Once::Again(_))), "was made before");
        let bob = testing::user(db, "bob@example.org").await;
        fresh(reminders.create(bob, new(TUESDAY), None).await);
        reminders.delete(*ada, made.id).await.expect("deletes");
        fresh(reminders.create(*ada, new(TUESDAY), None).await);
    }
}

#[tokio::test]
async fn erased_reminders_leave_nothing_and_others_stay() {
    for world in worlds().await {
        let bob = testing::user(&world.db, "bob@example.org").await;
        for user in [world.ada, world.ada, bob] {
            fresh(world.reminders.create(user, new(TUESDAY), None).await);
        }
        let mut tx = world.db.begin().await.expect("begins");
        erase(&mut tx, world.ada).await.expect("erases");
        tx.commit().await.expect("commits");
        assert_eq!(world.texts("SELECT CAST(user_id AS text) FROM reminders").await, [bob.to_string()]);
        assert_eq!(world.number("SELECT count(*) FROM reminder_schedules").await, 1);
    }
}

#[tokio::test]
async fn two_who_change_one_reminder_at_once_lose_no_change() {
    for world in worlds().await {
        let id = world.remind(TUESDAY).await;
        let words = ReminderChange { title: Some("Walk".into()), ..Default::default() };
        let date = ReminderChange { reminder_time: Some(on_day(WEDNESDAY)), ..Default::default() };
        let (one, other) =
            tokio::join!(world.reminders.change(world.ada, id, words), world.reminders.change(world.ada, id, date));
        one.expect("changes");
        other.expect("changes");
        let reminder = world.reminders.get(world.ada, id).await.expect("is there");
        assert_eq!((reminder.title.as_str(), reminder.reminder_time), ("Walk", on_day(WEDNESDAY)));
        assert_eq!(world.due_at(id).await, Some(at(WEDNESDAY_AT_EIGHT)));
    }
}
