//! Databases of the predecessor: `migrate` and `serve` adopt them, and its users go on. `tests/fixtures/legacy/README.md` describes them.

use faceofmind_testing::load_legacy;
use serde_json::json;

use crate::harness::{Person, Program, TestApp, eventually, tests_on_production};

tests_on_production! {
    users_go_on_in_tables_of_sqlalchemy,
    users_go_on_in_tables_of_sqlalchemy_in_june,
    users_go_on_in_tables_of_djangos_first_migration,
    users_go_on_in_tables_of_django,
    users_go_on_in_strict_tables_of_django,
    users_go_on_in_tables_of_both,
    a_dry_run_says_what_it_would_do_and_does_nothing,
    migrate_says_what_it_adopted_and_mends_times,
    twins_are_named_by_their_ids_and_nothing_is_changed,
}

const TWINS: &str = "INSERT INTO users (id, email, password, first_name, last_name, role, status, created_at) OVERRIDING SYSTEM VALUE VALUES \
    (50, 'eli@example.com', '', 'Eli', 'One', 'user', 'active', now()), (51, 'Eli@example.com', '', 'Eli', 'Two', 'user', 'active', now())";

/// Replaces the database of a stopped service by one of the predecessor.
async fn replace_database(app: &TestApp, layout: &str, more: &str) {
    app.stop().await;
    for sql in ["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"] {
        app.execute(sql).await;
    }
    load_legacy(app.database(), layout, more).await;
}

async fn users_go_on_in_tables_of_sqlalchemy(app: &TestApp) {
    users_go_on(app, "sa").await;
}

async fn users_go_on_in_tables_of_sqlalchemy_in_june(app: &TestApp) {
    users_go_on(app, "sa-june").await;
}

async fn users_go_on_in_tables_of_djangos_first_migration(app: &TestApp) {
    users_go_on(app, "dj-0001").await;
}

async fn users_go_on_in_tables_of_django(app: &TestApp) {
    users_go_on(app, "dj").await;
}

async fn users_go_on_in_strict_tables_of_django(app: &TestApp) {
    users_go_on(app, "dj-strict").await;
}

async fn users_go_on_in_tables_of_both(app: &TestApp) {
    users_go_on(app, "hybrid").await;
}

async fn users_go_on(app: &TestApp, layout: &str) {
    // All stories share one mail server, so her address is this story's own.
    let ana = app.person("ana");
    replace_database(app, layout, &format!("UPDATE users SET email = '{}' WHERE id = 1", ana.email)).await;
    let app = &app.another_node(&[]).await;
    let ana = Person { id: 1, ..ana.using(app.client()) };
    ana.request_password_reset().await.assert_status(202);
    let code = app.mail_to(&ana.email).await.code();
    ana.reset_password(&code, &ana.password).await.assert_status(200);
    let tokens = ana.log_in().await.assert_status(200);
    let ana = ana.with_tokens(&tokens);
    ana.get("/auth/me").await.assert_status(200);
    ana.get("/sessions/").await.assert_status(200);
    let history = ana.get("/sessions/1/history").await.assert_status(200);
    assert!(history.json.to_string().contains("I could not sleep again"), "{history:?}");
    record(&ana).await;
    ana.put("/users/1", json!({ "first_name": "Anna" })).await.assert_status(200);
    ana.get("/posts/?limit=3").await.assert_status(200);
    let export = ana.get("/users/me/export").await.assert_status(200);
    assert!(export.json.to_string().contains("said today"), "{export:?}");
    ana.delete("/sessions/1").await.assert_status(200);
    ana.post("/users/me/erase", json!({ "current_password": ana.password })).await.assert_status(200);
    eventually("every row of the user is gone", async || {
        let rows = "SELECT (SELECT count(*) FROM users WHERE id = 1) + (SELECT count(*) FROM sessions WHERE user_id = 1) \
            + (SELECT count(*) FROM community_posts WHERE user_id = 1) + (SELECT count(*) FROM reminders WHERE user_id = 1)";
        (app.number(rows).await == 0).then_some(())
    })
    .await;
    app.stop().await;
}

/// One row in each of the ten tables.
async fn record(person: &Person) {
    let id = person.start_session().await;
    let batch = json!([{ "emotion": "sad", "confidence": 0.75 }]);
    person.post(&format!("/sessions/{id}/detections"), batch).await.assert_status(201);
    let emotion = json!({ "emotion": "sad", "voice_content": "said today" });
    person.post(&format!("/sessions/{id}/process_emotion"), emotion).await.assert_status(200);
    let post = person.post("/posts/", json!({ "content": "wrote" })).await.assert_status(201).number_of("id");
    person.post(&format!("/posts/{post}/comments"), json!({ "content": "commented" })).await.assert_status(201);
    let reminder = json!({ "title": "Breathe", "description": "", "reminder_time": "2041-05-06" });
    person.post("/reminders/", reminder).await.assert_status(201);
    person
        .post(&format!("/sessions/{id}/feedback"), json!({ "comment": "rated", "rating": 4 }))
        .await
        .assert_status(201);
    let history = person.get(&format!("/sessions/{id}/history")).await.assert_status(200);
    assert!(history.json.to_string().contains("said today"), "{history:?}");
}

async fn a_dry_run_says_what_it_would_do_and_does_nothing(app: &TestApp) {
    replace_database(app, "sa-june", "").await;
    let program = Program::in_env(&app.env, &[]);
    let planned = program.run(&["migrate", "--dry-run"], "").await;
    assert_eq!(planned.code, Some(0), "{planned:?}");
    for part in ["layout `sa-june`", "add the column wellness_suggestions.url", "7:55 hours", "Nothing was changed."] {
        assert!(planned.output.contains(part), "{part}: {planned:?}");
    }
    assert!(!planned.output.contains("@example.com"), "an address: {planned:?}");
    let made = "SELECT count(*) FROM pg_class WHERE relname IN ('_sqlx_migrations', 'adoption', 'sessions_of_user')";
    assert_eq!(app.number(made).await, 0);
    app.another_node(&[]).await.stop().await;
    let planned = program.run(&["migrate", "--dry-run"], "").await;
    assert_eq!((planned.code, planned.output.trim()), (Some(0), "nothing to migrate"), "{planned:?}");
}

async fn migrate_says_what_it_adopted_and_mends_times(app: &TestApp) {
    replace_database(app, "hybrid", "").await;
    let program = Program::in_env(&app.env, &[]);
    let adopted = program.run(&["migrate", "--repair-times", "Asia/Manila"], "").await;
    assert_eq!(adopted.code, Some(0), "{adopted:?}");
    for part in ["mended the start times of 1 sessions", "adopted from FaceofMind (Python), layout `hybrid`"] {
        assert!(adopted.output.contains(part), "{part}: {adopted:?}");
    }
    assert!(adopted.errors.contains("changed the columns, defaults and constraints"), "{adopted:?}");
    assert!(!adopted.errors.contains("@example.com"), "an address in the log: {adopted:?}");
    let again = program.run(&["migrate", "--repair-times", "Asia/Manila"], "").await;
    assert!(again.output.contains("nothing was changed now"), "{again:?}");
    let unknown = program.run(&["migrate", "--repair-times", "Manila"], "").await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.errors.contains("`Manila` is no time zone of this server"), "{unknown:?}");
}

async fn twins_are_named_by_their_ids_and_nothing_is_changed(app: &TestApp) {
    replace_database(app, "dj", TWINS).await;
    let program = Program::in_env(&app.env, &[]);
    for command in ["migrate", "serve"] {
        let refused = program.run(&[command], "").await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.errors.contains("50 and 51") && refused.errors.contains("nothing was changed"), "{refused:?}");
        assert!(!format!("{refused:?}").contains("@example.com"), "an address in the log: {refused:?}");
    }
    let planned = program.run(&["migrate", "--dry-run"], "").await;
    assert_eq!(planned.code, Some(1), "{planned:?}");
    assert!(planned.output.contains("50 and 51") && !planned.output.contains("eli@"), "{planned:?}");
    // The schema that the test's end looks at.
    app.execute("DELETE FROM users WHERE id = 51").await;
    app.another_node(&[]).await.stop().await;
}
