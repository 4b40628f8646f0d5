//! `POST /users/me/erase`

use serde_json::json;

use super::{fill_other_tables, record_everything, user_tables};
use crate::harness::{Person, Response, TestApp, eventually, files_with, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    an_erased_user_leaves_no_data_behind,
    an_erasure_ends_every_login_and_records_one_event,
    a_wrong_password_erases_nothing_and_counts_as_a_failed_login,
    the_last_active_admin_is_not_erased,
    an_erasure_names_its_invalid_field_and_needs_a_token,
}

async fn erase(person: &Person, password: &str) -> Response {
    person.post("/users/me/erase", json!({ "current_password": password })).await
}

/// No time and no other id contains these digits by chance.
const NEXT_ID: i64 = 987_654_321_012;

/// Gives the next user an id that can be searched for.
async fn set_next_user_id(app: &TestApp) {
    let sql = if app.is_embedded() {
        format!("INSERT INTO sqlite_sequence (name, seq) VALUES ('users', {})", NEXT_ID - 1)
    } else {
        format!("ALTER TABLE users ALTER COLUMN id RESTART WITH {NEXT_ID}")
    };
    app.execute(&sql).await;
}

/// The columns that contain this text: `users.email`.
async fn columns_with(app: &TestApp, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, table) in app.schema().await {
        for column in table.columns {
            let sql = format!("SELECT count(*) FROM {name} WHERE CAST(\"{column}\" AS TEXT) LIKE '%{text}%'");
            if app.number(&sql).await > 0 {
                found.push(format!("{name}.{column}"));
            }
        }
    }
    found
}

/// The rows of two users are written side by side, so that the pages of the SQLite file hold both.
async fn record_side_by_side(one: &Person, other: &Person) {
    for repeats in [1, 201, 401] {
        tokio::join!(
            record_everything(one, "gloamful", 150, repeats),
            record_everything(other, "jaunty", 150, repeats)
        );
    }
}

async fn an_erased_user_leaves_no_data_behind(app: &TestApp) {
    let admin = app.admin().await;
    let bob = app.verified("bob").await;
    if app.is_embedded() {
        app.execute("DELETE FROM sqlite_sequence WHERE name = 'users'").await;
    }
    set_next_user_id(app).await;
    let zoe = app.verified("zerlina").await;
    assert_eq!(zoe.id, NEXT_ID);
    record_side_by_side(&zoe, &bob).await;
    zoe.put(&format!("/users/{}", zoe.id), json!({ "last_name": "Quillfeather" })).await.assert_status(200);
    zoe.request_password_reset().await.assert_status(202);
    app.mail_to(&zoe.email).await;
    zoe.register().await.assert_status(201);
    app.mail_to(&zoe.email).await;
    let new_email = zoe.email.replace("zerlina", "zinnia");
    let change = json!({ "new_email": new_email, "current_password": zoe.password });
    zoe.post("/users/me/email", change).await.assert_status(202);
    let code = app.mail_to(&new_email).await.code();
    zoe.post("/users/me/email/confirm", json!({ "otp": code })).await.assert_status(200);
    app.mail_to(&zoe.email).await;
    let old_email = zoe.email.clone();
    let zoe = Person { email: new_email.clone(), ..zoe };
    for (person, word) in [(&zoe, "gloamful"), (&bob, "jaunty")] {
        fill_other_tables(app, person, word).await;
    }
    eventually("only the delayed mails are queued", async || (app.row_count("mail_intents").await == 2).then_some(()))
        .await;
    assert!(app.stored_codes().await.len() > 1, "the user has a code too");
    let mut rows_of_others = Vec::new();
    for (table, condition) in user_tables(app, zoe.id).await {
        let rows = app.number(&format!("SELECT count(*) FROM {table} WHERE NOT ({condition})")).await;
        rows_of_others.push((table, rows));
    }

    let folder = app.env.data_dir();
    // Only mails contain the old address, and the embedded profile alone keeps mails as files.
    assert!(!app.is_embedded() || !files_with(&folder, &old_email).is_empty(), "{old_email} was stored");
    let texts = [new_email.as_str(), "Zerlina", "Quillfeather", "gloamful"];
    for text in texts {
        assert!(!columns_with(app, text).await.is_empty(), "{text} was stored");
        assert!(!app.is_embedded() || !files_with(&folder, text).is_empty(), "{text} was stored");
    }
    erase(&zoe, &zoe.password).await.assert_status(200);
    for text in texts.into_iter().chain([old_email.as_str()]) {
        assert_eq!(columns_with(app, text).await, [""; 0], "{text}");
        eventually("the database file is rewritten", async || files_with(&folder, text).is_empty().then_some(())).await;
    }
    let events = format!("SELECT count(*) FROM events WHERE user_id = {NEXT_ID}");
    eventually("only the event of the deletion is left", async || (app.number(&events).await == 1).then_some(())).await;
    for (table, rows) in rows_of_others {
        let (expected, filter) = match table.as_str() {
            // The deletion is an event. Published events of the user keep their position, without content or user.
            "events" => (rows + 1, "WHERE user_id <> 0"),
            _ => (rows, ""),
        };
        let left = app.number(&format!("SELECT count(*) FROM {table} {filter}")).await;
        assert_eq!(left, expected, "{table}: erasure leaves rows of the user, or takes rows of others");
    }
    assert_eq!(app.stored_codes().await.len(), 1, "the code of the other user");
    let expected = ["events.aggregate", "events.envelope", "events.user_id"];
    assert_eq!(columns_with(app, &NEXT_ID.to_string()).await, expected, "the event of the deletion");
    assert_eq!(bob.get("/sessions/count").await.assert_status(200).json["count"], 3);
    assert_eq!(admin.get("/users/?query=zerlina").await.assert_status(200).json["total"], 0);
    assert!(!columns_with(app, "jaunty").await.is_empty(), "the data of others stays");
}

async fn an_erasure_ends_every_login_and_records_one_event(app: &TestApp) {
    let ada = app.verified("ada").await;
    let elsewhere = ada.log_in_again().await;
    app.events_of(ada.id, &["user.registered", "user.verified"]).await;
    let erased = erase(&ada, &ada.password).await;
    snapshot!(erased, @r#"
    200 {
      "message": "Your account and all that was yours have been erased."
    }
    "#);
    for person in [&ada, &elsewhere] {
        assert!(!person.is_logged_in().await);
        person.refresh().await.assert_status(401);
    }
    ada.log_in().await.assert_status(401);
    erase(&ada, &ada.password).await.assert_status(401);
    let events = app.events_of(ada.id, &["user.registered", "user.verified", "user.deleted"]).await;
    assert_eq!(events[2].json["causedby"], format!("user/{}", ada.id));
    app.advance(11);
    ada.register().await.assert_status(201);
    let code = app.mail_to(&ada.email).await.code();
    ada.verify(&code).await.assert_status(200);
}

async fn a_wrong_password_erases_nothing_and_counts_as_a_failed_login(app: &TestApp) {
    let ada = app.verified("ada").await;
    let before = app.row_counts().await;
    let refused = erase(&ada, "not the password").await;
    assert_eq!((refused.status, refused.kind()), (400, "wrong-password"));
    assert_eq!(app.row_counts().await, before);
    for _ in 0..9 {
        erase(&ada, "not the password").await.assert_status(400);
    }
    erase(&ada, &ada.password).await.assert_status(429);
    ada.log_in().await.assert_status(429);
    app.advance(11);
    erase(&ada, &ada.password).await.assert_status(200);
}

async fn the_last_active_admin_is_not_erased(app: &TestApp) {
    let admin = app.admin().await;
    let refused = erase(&admin, &admin.password).await;
    assert_eq!((refused.status, refused.kind()), (409, "last-admin"));
    assert!(admin.is_logged_in().await);
    app.admin().await;
    erase(&admin, &admin.password).await.assert_status(200);
}

async fn an_erasure_names_its_invalid_field_and_needs_a_token(app: &TestApp) {
    let ada = app.verified("ada").await;
    for body in [json!({}), json!({ "current_password": 7 })] {
        assert_eq!(
            ada.post("/users/me/erase", body).await.assert_status(422).invalid_fields(),
            ["body.current_password"]
        );
    }
    let body = json!({ "current_password": ada.password });
    app.client().post("/users/me/erase", body).await.assert_status(401);
    assert!(ada.is_logged_in().await);
}
