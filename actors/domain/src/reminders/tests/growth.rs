//! What is read does not grow with the reminders of a user, nor with those of all.

use super::{
    super::store::{self, schedule},
    *,
};
use crate::testing::{fill, pages_touched};

#[tokio::test]
async fn a_page_and_the_first_due_reminder_are_found_by_index() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    let user = testing::user(&db, "ada@example.org").await;
    let reminders = format!(
        "INSERT INTO reminders (user_id, title, description, reminder_time, is_active, created_at) \
         SELECT {user}, 'Breathe', repeat('slowly ', 50), '2031-03-04', true, now() FROM generate_series(1, 20000)"
    );
    let schedules = "INSERT INTO reminder_schedules (reminder_id, due_at, told_at) \
         SELECT id, timestamptz '2031-03-04', CASE WHEN id % 2 = 0 THEN now() END FROM reminders";
    fill(&db, &[&reminders, schedules]).await;
    let page = pages_touched(&db, store::LIST, &format!("{user}, {}, 6, 0", i32::MAX)).await;
    assert!(page < 10, "{page}");
    for now in ["2031-03-01", "2031-03-05"] {
        let due = pages_touched(&db, schedule::IS_ANY_DUE, &format!("'{now}'")).await;
        assert!(due < 10, "{due} on {now}");
    }
}
