//! `POST /users/me/erase`

use faceofmind_kit::{Connection, on};
use reqwest::Method;
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::harness::{Person, Response, TestApp, eventually, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    whoever_erases_themself_leaves_nothing_behind,
    tokens_die_with_the_account_and_one_event_tells_of_it,
    a_wrong_password_erases_nothing_and_counts_as_a_failed_log_in,
    the_last_active_admin_is_not_erased,
    an_erasure_names_its_bad_field_and_needs_a_token,
}

async fn erase(person: &Person, password: &str) -> Response {
    person.post("/users/me/erase", json!({ "current_password": password })).await
}

/// So many digits come in no time or other id by chance.
const NEXT_ID: i64 = 987_654_321_012;

/// The next user gets an id by which they are found wherever they stand.
async fn with_a_telling_id(app: &TestApp) {
    let sql = if app.is_embedded() {
        format!("INSERT INTO sqlite_sequence (name, seq) VALUES ('users', {})", NEXT_ID - 1)
    } else {
        format!("ALTER TABLE users ALTER COLUMN id RESTART WITH {NEXT_ID}")
    };
    app.execute(&sql).await;
}

/// Every column of every table, by the database's own word.
async fn columns(app: &TestApp) -> Vec<(String, String)> {
    let mut reader = app.database().reader().await.expect("the database answers");
    match reader.connection() {
        Connection::Postgres(c) => {
            let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns \
                       WHERE table_schema = current_schema() ORDER BY 1, 2";
            sqlx::query_as(sql).fetch_all(c).await.expect("columns")
        }
        Connection::Sqlite(c) => {
            let sql = "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c \
                       WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY 1, 2";
            sqlx::query_as(sql).fetch_all(c).await.expect("columns")
        }
    }
}

/// The columns in which this stands.
async fn found(app: &TestApp, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (table, column) in columns(app).await {
        let sql = format!("SELECT count(*) FROM {table} WHERE CAST(\"{column}\" AS TEXT) LIKE $1");
        let mut reader = app.database().reader().await.expect("the database answers");
        let (rows,): (i64,) = on!(reader.connection(), c => sqlx::query_as(AssertSqlSafe(sql))
            .bind(format!("%{needle}%")).fetch_one(c).await)
        .expect("a query of ours");
        if rows > 0 {
            found.push(format!("{table}.{column}"));
        }
    }
    found
}

/// The files of the data directory in which this stands.
fn in_files(app: &TestApp, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![app.env.data_dir()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("readable");
                let stands = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
                found.extend(stands.then(|| path.file_name().expect("a name").to_string_lossy().into_owned()));
            }
        }
    }
    found.sort();
    found
}

/// A life of which something stands in every table that is filled by now; side by side with another's, row by row.
async fn live(person: &Person, felt: &str) {
    for round in 0..3 {
        let start = person.api(Method::POST, "/sessions/").header("idempotency-key", &format!("{felt}{round}"));
        let id = start.json(&json!({})).send().await.assert_status(201).number_of("id");
        let detections: Vec<_> =
            (0..150).map(|number| json!({ "emotion": format!("{felt} {number}"), "confidence": 0.5 })).collect();
        person.post(&format!("/sessions/{id}/detections"), json!(detections)).await.assert_status(201);
        let words = format!("{felt} said ").repeat(round * 200 + 1);
        let processed = json!({ "emotion": felt, "voice_content": words });
        person.post(&format!("/sessions/{id}/process_emotion"), processed).await.assert_status(200);
        let post = json!({ "content": format!("{felt} wrote ").repeat(30) });
        let post = person.post("/posts/", post).await.assert_status(201).number_of("id");
        let response = json!({ "content": format!("{felt} answered ").repeat(30) });
        person.post(&format!("/posts/{post}/comments"), response).await.assert_status(201);
        let reminder = json!({ "title": format!("{felt} title"), "description": felt, "reminder_time": "2031-05-06" });
        person.post("/reminders/", reminder).await.assert_status(201);
        let comment = format!("{felt} commented ").repeat(20);
        person
            .post(&format!("/sessions/{id}/feedback"), json!({ "comment": comment, "rating": 3 }))
            .await
            .assert_status(201);
    }
}

async fn whoever_erases_themself_leaves_nothing_behind(app: &TestApp) {
    let admin = app.admin().await;
    let bob = app.verified("bob").await;
    if app.is_embedded() {
        app.execute("DELETE FROM sqlite_sequence WHERE name = 'users'").await;
    }
    with_a_telling_id(app).await;
    let zoe = app.verified("zerlina").await;
    assert_eq!(zoe.id, NEXT_ID);
    let ((), ()) = tokio::join!(live(&zoe, "gloamful"), live(&bob, "jaunty"));
    zoe.put(&format!("/users/{}", zoe.id), json!({ "last_name": "Quillfeather" })).await.assert_status(200);
    zoe.post("/auth/request-password-reset", json!({ "email": zoe.email })).await.assert_status(202);
    app.mail_to(&zoe.email).await;
    zoe.register().await.assert_status(201);
    app.mail_to(&zoe.email).await;
    let other = zoe.email.replace("zerlina", "zinnia");
    let wanted = json!({ "new_email": other, "current_password": zoe.password });
    zoe.post("/users/me/email", wanted).await.assert_status(202);
    let code = app.mail_to(&other).await.code();
    zoe.post("/users/me/email/confirm", json!({ "otp": code })).await.assert_status(200);
    app.mail_to(&zoe.email).await;

    // Where zoe was reached before, mails alone tell still.
    let before = zoe.email.as_str();
    assert!(!app.is_embedded() || !in_files(app, before).is_empty(), "{before} was to be found before");
    let needles = [other.as_str(), "Zerlina", "Quillfeather", "gloamful"];
    for needle in needles {
        assert!(!found(app, needle).await.is_empty(), "{needle} was to be found before");
        assert!(!app.is_embedded() || !in_files(app, needle).is_empty(), "{needle} was to be found before");
    }
    erase(&zoe, &zoe.password).await.assert_status(200);
    for needle in needles.into_iter().chain([before]) {
        assert_eq!(found(app, needle).await, [""; 0], "{needle}");
        eventually("the file to be written anew", async || in_files(app, needle).is_empty().then_some(())).await;
    }
    let told = ["events.aggregate", "events.envelope", "events.user_id"];
    assert_eq!(found(app, &NEXT_ID.to_string()).await, told, "the one event that tells of it");
    let last = app.number(&format!("SELECT count(*) FROM events WHERE user_id = {NEXT_ID}")).await;
    assert_eq!(last, 1);

    assert_eq!(bob.get("/sessions/count").await.assert_status(200).json["count"], 3);
    assert_eq!(admin.get("/users/?query=zerlina").await.assert_status(200).json["total"], 0);
    assert!(!found(app, "jaunty").await.is_empty(), "others stay");
}

async fn tokens_die_with_the_account_and_one_event_tells_of_it(app: &TestApp) {
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
    let told = app.events_of(ada.id, &["user.registered", "user.verified", "user.deleted"]).await;
    assert_eq!(told[2].json["causedby"], format!("user/{}", ada.id));
    app.advance(11);
    ada.register().await.assert_status(201);
    let code = app.mail_to(&ada.email).await.code();
    ada.verify(&code).await.assert_status(200);
}

async fn a_wrong_password_erases_nothing_and_counts_as_a_failed_log_in(app: &TestApp) {
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

async fn an_erasure_names_its_bad_field_and_needs_a_token(app: &TestApp) {
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
