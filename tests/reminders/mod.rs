//! `/reminders`

use faceofmind_domain::reminders::MAX_REMINDERS;
use serde_json::{Value, json};

use crate::harness::{Person, Response, TestApp, concurrently, snapshot, tests_on_both_profiles};

mod due;

tests_on_both_profiles! {
    a_reminder_is_created_read_updated_and_deleted,
    omitted_fields_are_unchanged_and_a_time_after_the_date_is_ignored,
    reminders_are_listed_newest_first,
    every_invalid_field_of_a_reminder_is_named_and_nothing_is_stored,
    a_title_and_a_description_may_be_long,
    the_reminder_of_another_user_is_not_found,
    an_idempotency_key_creates_one_reminder,
    a_reminder_beyond_the_maximum_is_refused,
}

const SIGNED_UP: [&str; 2] = ["user.registered", "user.verified"];

fn breathe(date: impl ToString) -> Value {
    json!({ "title": "Breathe", "description": "Ten times, slowly", "reminder_time": date.to_string() })
}

async fn remind(person: &Person, date: impl ToString) -> i64 {
    person.post("/reminders/", breathe(date)).await.assert_status(201).number_of("id")
}

async fn a_reminder_is_created_read_updated_and_deleted(app: &TestApp) {
    let ada = app.verified("ada").await;
    let created = ada.post("/reminders/", breathe("2091-03-04")).await;
    snapshot!(created, @r#"
    201 {
      "created_at": "[time]",
      "description": "Ten times, slowly",
      "id": "[id]",
      "is_active": true,
      "reminder_time": "2091-03-04",
      "title": "Breathe",
      "user_id": "[id]"
    }
    "#);
    assert_eq!(created.json["user_id"], ada.id);
    let path = format!("/reminders/{}", created.number_of("id"));
    assert_eq!(ada.get(&path).await.assert_status(200).json, created.json);
    let change = json!({ "title": "Walk", "description": "", "reminder_time": "2091-03-05", "is_active": false });
    let changed = ada.put(&path, change).await;
    snapshot!(changed, @r#"
    200 {
      "created_at": "[time]",
      "description": "",
      "id": "[id]",
      "is_active": false,
      "reminder_time": "2091-03-05",
      "title": "Walk",
      "user_id": "[id]"
    }
    "#);
    assert_eq!(ada.get(&path).await.assert_status(200).json, changed.json);
    assert_eq!(ada.get("/reminders/").await.assert_status(200).json, json!([changed.json]));
    let deleted = ada.delete(&path).await;
    snapshot!(deleted, @r#"
    200 {
      "message": "Reminder deleted successfully"
    }
    "#);
    ada.get(&path).await.assert_status(404);
    ada.put(&path, json!({})).await.assert_status(404);
    assert_eq!(ada.delete(&path).await.assert_status(404).detail(), "There is no such reminder.");
    assert_eq!(ada.get("/reminders/").await.assert_status(200).json, json!([]));
    app.events_of(ada.id, &SIGNED_UP).await;
}

async fn omitted_fields_are_unchanged_and_a_time_after_the_date_is_ignored(app: &TestApp) {
    let ada = app.verified("ada").await;
    let body = json!({ "title": "Breathe", "reminder_time": "2091-03-04T08:00:00.000Z", "user_id": 1, "id": 1 });
    let created = ada.post("/reminders", body).await.assert_status(201);
    assert_eq!(
        (created.text_of("description"), created.text_of("reminder_time")),
        (String::new(), "2091-03-04".into())
    );
    assert_eq!((&created.json["is_active"], &created.json["user_id"]), (&json!(true), &json!(ada.id)));
    let path = format!("/reminders/{}", created.number_of("id"));
    assert_eq!(ada.put(&path, json!({})).await.assert_status(200).json, created.json);
    let nulls = json!({ "title": null, "description": null, "reminder_time": null, "is_active": null });
    assert_eq!(ada.put(&path, nulls).await.assert_status(200).json, created.json);
    let mut expected = created.json.clone();
    expected["is_active"] = json!(false);
    assert_eq!(ada.put(&path, json!({ "is_active": false })).await.assert_status(200).json, expected);
}

async fn reminders_are_listed_newest_first(app: &TestApp) {
    let ada = app.verified("ada").await;
    let mut ids = Vec::new();
    for day in 1..=7 {
        ids.insert(0, remind(&ada, format!("2091-03-0{day}")).await);
    }
    let listed = async |path: &str| {
        let response = ada.get(path).await.assert_status(200);
        let listed = response.json.as_array().expect("a list").iter().map(|one| one["id"].as_i64().expect("an id"));
        listed.collect::<Vec<_>>()
    };
    assert_eq!(listed("/reminders/").await, ids);
    assert_eq!(listed("/reminders/?limit=2&skip=1").await, ids[1..3]);
    assert_eq!(listed("/reminders/?limit=900").await, ids);
    assert_eq!(listed("/reminders/?skip=7").await, [0; 0]);
    assert_eq!(
        ada.get("/reminders/?limit=0&skip=-1").await.assert_status(422).invalid_fields(),
        ["query.skip", "query.limit"]
    );
}

async fn every_invalid_field_of_a_reminder_is_named_and_nothing_is_stored(app: &TestApp) {
    let ada = app.verified("ada").await;
    let path = format!("/reminders/{}", remind(&ada, "2091-03-04").await);
    let before = (app.row_counts().await, ada.get(&path).await.assert_status(200).json);
    let missing = ada.post("/reminders/", json!({})).await.assert_status(422);
    assert_eq!(missing.invalid_fields(), ["body.title", "body.reminder_time"]);
    let all = vec!["body.title", "body.description", "body.reminder_time", "body.is_active"];
    for (body, named) in [
        (json!({ "title": "", "description": 7, "reminder_time": "tomorrow", "is_active": "yes" }), all.clone()),
        (json!({ "title": "a\u{0}b", "description": "a\u{0}b", "reminder_time": 7, "is_active": 1 }), all.clone()),
        (
            json!({ "title": "x".repeat(256), "description": "x".repeat(2001), "reminder_time": "2091-02-30", "is_active": [] }),
            all,
        ),
        (json!({ "title": " \n\t ", "reminder_time": "2091-03-04" }), vec!["body.title"]),
        (json!({ "title": "x", "reminder_time": "10000-01-01" }), vec!["body.reminder_time"]),
        (json!({ "title": "x", "reminder_time": "-004000-01-01" }), vec!["body.reminder_time"]),
    ] {
        assert_eq!(ada.post("/reminders/", body.clone()).await.assert_status(422).invalid_fields(), named);
        assert_eq!(ada.put(&path, body).await.assert_status(422).invalid_fields(), named);
    }
    ada.get("/reminders/abc").await.assert_status(422);
    assert_eq!((app.row_counts().await, ada.get(&path).await.assert_status(200).json), before);
}

async fn a_title_and_a_description_may_be_long(app: &TestApp) {
    let ada = app.verified("ada").await;
    let body = json!({ "title": "é".repeat(255), "description": "é".repeat(2000), "reminder_time": "9999-12-31" });
    let created = ada.post("/reminders/", body.clone()).await.assert_status(201);
    for field in ["title", "description", "reminder_time"] {
        assert_eq!(created.json[field], body[field]);
    }
    remind(&ada, "0001-01-01").await;
}

async fn the_reminder_of_another_user_is_not_found(app: &TestApp) {
    let (ada, bob, admin) = (app.verified("ada").await, app.verified("bob").await, app.admin().await);
    let path = format!("/reminders/{}", remind(&ada, "2091-03-04").await);
    for other in [&bob, &admin] {
        other.get(&path).await.assert_status(404);
        other.put(&path, json!({ "is_active": false })).await.assert_status(404);
        other.delete(&path).await.assert_status(404);
        assert_eq!(other.get("/reminders/").await.assert_status(200).json, json!([]));
    }
    app.client().get(&path).await.assert_status(401);
    app.client().get("/reminders/").await.assert_status(401);
    app.client().post("/reminders/", breathe("2091-03-04")).await.assert_status(401);
    assert_eq!(ada.get(&path).await.assert_status(200).json["is_active"], true);
}

async fn keyed(person: &Person, date: &str) -> Response {
    person.post_with_key("/reminders/", "k", &breathe(date)).await
}

async fn an_idempotency_key_creates_one_reminder(app: &TestApp) {
    let ada = app.verified("ada").await;
    let calls = (0..10).map(|_| {
        let ada = ada.clone();
        async move { keyed(&ada, "2091-03-04").await.assert_status(201).text }
    });
    let mut answers = concurrently(calls).await;
    answers.push(keyed(&ada, "2091-03-04").await.assert_status(201).text);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(keyed(&ada, "2091-03-05").await.assert_status(422).kind(), "idempotency-key-reused");
    assert_eq!((app.row_count("reminders").await, app.row_count("reminder_schedules").await), (1, 1));
    assert!(
        !app.texts("SELECT answer FROM idempotency_keys").await[0].contains("Breathe"),
        "the stored response is encrypted"
    );
}

async fn a_reminder_beyond_the_maximum_is_refused(app: &TestApp) {
    let ada = app.verified("ada").await;
    let first = remind(&ada, "2091-03-04").await;
    app.execute(&format!(
        "INSERT INTO reminders (user_id, title, description, reminder_time, is_active, created_at) \
         WITH RECURSIVE copies (nth) AS (SELECT 2 UNION ALL SELECT nth + 1 FROM copies WHERE nth < {MAX_REMINDERS}) \
         SELECT user_id, title, description, reminder_time, is_active, created_at FROM reminders, copies"
    ))
    .await;
    let refused = ada.post("/reminders/", breathe("2091-03-04")).await.assert_status(409);
    assert_eq!(refused.kind(), "too-many-reminders");
    assert_eq!(refused.detail(), "You have as many reminders as one user may. Delete some of them first.");
    ada.delete(&format!("/reminders/{first}")).await.assert_status(200);
    remind(&ada, "2091-03-04").await;
}
