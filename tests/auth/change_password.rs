//! `POST /auth/change-password`

use serde_json::json;

use crate::harness::{Person, Response, TestApp, snapshot, tests_on_both_profiles};

const NEW: &str = "a new and much longer word";

tests_on_both_profiles! {
    changing_the_password_ends_the_other_logins,
    a_wrong_current_password_changes_nothing,
    wrong_current_passwords_count_as_failed_logins,
    a_refused_new_password_changes_nothing,
    changing_the_password_needs_a_token,
    every_invalid_field_of_a_change_is_named,
}

async fn change(person: &Person, current: &str, new: &str) -> Response {
    person.post("/auth/change-password", json!({ "current_password": current, "new_password": new })).await
}

async fn changing_the_password_ends_the_other_logins(app: &TestApp) {
    let ada = app.verified("ada").await;
    let other = ada.log_in_again().await;
    let response = change(&ada, &ada.password, NEW).await;
    snapshot!(response, @r#"
    200 {
      "message": "Password changed successfully."
    }
    "#);
    assert!(ada.is_logged_in().await, "the login that changes the password stays");
    assert!(!other.is_logged_in().await);
    other.refresh().await.assert_status(401);
    ada.refresh().await.assert_status(200);
    ada.log_in().await.assert_status(401);
    ada.log_in_with(NEW).await.assert_status(200);
    let mail = app.mail_to(&ada.email).await;
    assert!(mail.text.contains("was changed") && !mail.raw.contains(NEW), "{}", mail.text);
    app.events_of(ada.id, &["user.registered", "user.verified", "user.password_changed"]).await;
}

async fn a_wrong_current_password_changes_nothing(app: &TestApp) {
    let ada = app.verified("ada").await;
    let before = app.texts("SELECT password FROM users").await;
    let refused = change(&ada, "not the password", NEW).await;
    snapshot!(refused, @r#"
    400 {
      "detail": "The current password is not right.",
      "request_id": "[request id]",
      "status": 400,
      "title": "Bad Request",
      "type": "/problems/wrong-password"
    }
    "#);
    assert_eq!(app.texts("SELECT password FROM users").await, before);
}

async fn wrong_current_passwords_count_as_failed_logins(app: &TestApp) {
    let ada = app.verified("ada").await;
    for _ in 0..10 {
        change(&ada, "not the password", NEW).await.assert_status(400);
    }
    change(&ada, &ada.password, NEW).await.assert_status(429);
    ada.log_in().await.assert_status(429);
    app.advance(11);
    change(&ada, &ada.password, NEW).await.assert_status(200);
}

async fn a_refused_new_password_changes_nothing(app: &TestApp) {
    let ada = app.verified("ada").await;
    for bad in ["short", "dummyPassword123", &"x".repeat(129)] {
        let refused = change(&ada, &ada.password, bad).await.assert_status(422);
        assert!(refused.text.contains("password"), "{}", refused.text);
    }
    ada.log_in().await.assert_status(200);
}

async fn changing_the_password_needs_a_token(app: &TestApp) {
    let body = json!({ "current_password": "password123", "new_password": NEW });
    app.client().post("/auth/change-password", body).await.assert_status(401);
}

async fn every_invalid_field_of_a_change_is_named(app: &TestApp) {
    let ada = app.verified("ada").await;
    for body in [json!({}), json!({ "current_password": 7, "new_password": [] })] {
        let response = ada.post("/auth/change-password", body.clone()).await.assert_status(422);
        assert_eq!(response.invalid_fields(), ["body.current_password", "body.new_password"], "{body}");
    }
}
