//! `PUT /users/{id}`

use serde_json::{Value, json};

use crate::harness::{Person, TestApp, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    a_user_changes_their_names_and_settings,
    omitted_fields_are_unchanged,
    a_user_cannot_set_their_own_role_or_status,
    an_admin_changes_role_and_status,
    a_status_that_forbids_logins_ends_them_at_once,
    users_cannot_update_others,
    every_invalid_field_of_a_change_is_named,
    time_zone_and_language_are_stored_in_user_profiles,
}

async fn update(by: &Person, of: &Person, body: Value) -> crate::harness::Response {
    by.put(&format!("/users/{}", of.id), body).await
}

async fn a_user_changes_their_names_and_settings(app: &TestApp) {
    let ada = app.verified("ada").await;
    let body = json!({ "first_name": "Augusta", "last_name": "King", "time_zone": "Europe/London", "language": "en" });
    let response = update(&ada, &ada, body).await;
    snapshot!(response, @r#"
    200 {
      "created_at": "[time]",
      "email": "[email]",
      "first_name": "Augusta",
      "id": "[id]",
      "language": "en",
      "last_name": "King",
      "role": "user",
      "status": "active",
      "time_zone": "Europe/London"
    }
    "#);
    assert_eq!(ada.get("/auth/me").await.assert_status(200).json, response.json, "the next request sees the change");
    app.events_of(ada.id, &["user.registered", "user.verified", "user.updated"]).await;
}

async fn omitted_fields_are_unchanged(app: &TestApp) {
    let ada = app.verified("ada").await;
    let before = ada.get("/auth/me").await.assert_status(200).json;
    assert_eq!(update(&ada, &ada, json!({})).await.assert_status(200).json, before);
    assert_eq!(
        update(&ada, &ada, json!({ "unknown": 7, "email": "x@y.org", "id": 1 })).await.assert_status(200).json,
        before
    );
    let changed = update(&ada, &ada, json!({ "last_name": "King" })).await.assert_status(200).json;
    assert_eq!((&changed["first_name"], &changed["last_name"]), (&json!("Ada"), &json!("King")));
}

async fn a_user_cannot_set_their_own_role_or_status(app: &TestApp) {
    let ada = app.verified("ada").await;
    for body in [
        json!({ "role": "admin", "status": "suspended" }),
        json!({ "role": "root", "status": 7 }),
        json!({ "role": ["admin"], "status": "\0" }),
    ] {
        let response = update(&ada, &ada, body.clone()).await.assert_status(200);
        assert_eq!((&response.json["role"], &response.json["status"]), (&json!("user"), &json!("active")), "{body}");
    }
    ada.get("/users/").await.assert_status(403);
}

async fn an_admin_changes_role_and_status(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.verified("ada").await);
    let response = update(&admin, &ada, json!({ "role": "professional" })).await.assert_status(200);
    assert_eq!(response.json["role"], "professional");
    update(&admin, &ada, json!({ "role": "admin" })).await.assert_status(200);
    ada.get("/users/").await.assert_status(200);
    update(&admin, &ada, json!({ "role": "user" })).await.assert_status(200);
    ada.get("/users/").await.assert_status(403);
    let bad = update(&admin, &ada, json!({ "role": "root", "status": "asleep" })).await.assert_status(422);
    assert_eq!(bad.invalid_fields(), ["body.role", "body.status"]);
    update(&admin, &Person { id: 4_000_000, ..ada.clone() }, json!({ "first_name": "X" })).await.assert_status(404);
}

async fn a_status_that_forbids_logins_ends_them_at_once(app: &TestApp) {
    let admin = app.admin().await;
    for status in ["suspended", "deactivated", "inactive"] {
        let ada = app.verified("ada").await;
        assert!(ada.is_logged_in().await);
        update(&admin, &ada, json!({ "status": status })).await.assert_status(200);
        assert!(!ada.is_logged_in().await, "{status}");
        ada.refresh().await.assert_status(401);
        update(&admin, &ada, json!({ "status": "active" })).await.assert_status(200);
        assert!(!ada.is_logged_in().await, "ended logins stay ended");
        ada.log_in().await.assert_status(200);
    }
}

async fn users_cannot_update_others(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    update(&bob, &ada, json!({ "first_name": "X" })).await.assert_status(403);
    update(&bob, &Person { id: 4_000_000, ..ada.clone() }, json!({ "first_name": "X" })).await.assert_status(403);
    app.client().put(&format!("/users/{}", ada.id), json!({ "first_name": "X" })).await.assert_status(401);
    assert_eq!(ada.get("/auth/me").await.assert_status(200).json["first_name"], "Ada");
}

async fn every_invalid_field_of_a_change_is_named(app: &TestApp) {
    let ada = app.verified("ada").await;
    let all = ["body.first_name", "body.language", "body.last_name", "body.time_zone"];
    for body in [
        json!({ "first_name": 7, "last_name": [], "time_zone": {}, "language": true }),
        json!({ "first_name": "", "last_name": "x".repeat(151), "time_zone": "Mars/Olympus", "language": "<en>" }),
        json!({ "first_name": "\0", "last_name": "\0", "time_zone": "\0", "language": "\0" }),
    ] {
        let bad = update(&ada, &ada, body.clone()).await.assert_status(422);
        let mut refused = bad.invalid_fields();
        refused.sort_unstable();
        assert_eq!(refused, all, "{body}");
    }
    for id in ["abc", "0"] {
        assert_eq!(ada.put(&format!("/users/{id}"), json!({})).await.assert_status(422).invalid_fields(), ["path.id"]);
    }
}

async fn time_zone_and_language_are_stored_in_user_profiles(app: &TestApp) {
    let ada = app.verified("ada").await;
    update(&ada, &ada, json!({ "time_zone": "Pacific/Auckland", "language": "fil" })).await.assert_status(200);
    assert_eq!(app.texts("SELECT time_zone FROM user_profiles").await, ["Pacific/Auckland"]);
    assert_eq!(app.texts("SELECT language FROM user_profiles").await, ["fil"]);
    ada.post("/auth/request-password-reset", json!({ "email": ada.email })).await.assert_status(202);
    app.mail_to(&ada.email).await;
    let other = app.client();
    let body = json!({ "email": ada.email, "password": ada.password });
    other
        .api(reqwest::Method::POST, "/auth/login")
        .header("user-agent", "Another")
        .json(&body)
        .send()
        .await
        .assert_status(200);
    let mail = app.mail_to(&ada.email).await;
    assert!(mail.text.contains("Pacific/Auckland"), "{}", mail.text);
}
