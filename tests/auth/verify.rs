//! `POST /auth/verify-otp`

use serde_json::json;

use crate::harness::{TestApp, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    a_code_makes_the_account_active,
    a_wrong_code_is_told_in_one_sentence_whoever_asks,
    verifying_logs_nobody_in,
    every_bad_field_of_a_code_is_named,
    a_code_may_be_typed_with_another_case_of_the_address,
}

async fn a_code_makes_the_account_active(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let response = ada.verify(&code).await;
    snapshot!(response, @r#"
    200 {
      "message": "Email verified successfully.",
      "user": {
        "created_at": "[time]",
        "email": "[email]",
        "first_name": "Ada",
        "id": "[id]",
        "last_name": "Lovelace",
        "role": "user",
        "status": "active"
      }
    }
    "#);
    let id = response.json["user"]["id"].as_i64().expect("an id");
    app.events_of(id, &["user.registered", "user.verified"]).await;
    ada.log_in().await.assert_status(200);
}

async fn a_wrong_code_is_told_in_one_sentence_whoever_asks(app: &TestApp) {
    let (ada, bob, nobody) = (app.register("ada").await, app.verified("bob").await, app.person("nobody"));
    let code = app.mail_to(&ada.email).await.code();
    let wrong = crate::auth::wrong(&code);
    let mut told = Vec::new();
    for person in [&ada, &bob, &nobody] {
        told.push(person.verify(&wrong).await.assert_status(400).redacted());
    }
    assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
    let refused = ada.verify(&wrong).await;
    snapshot!(refused, @r#"
    400 {
      "detail": "Invalid or expired OTP",
      "request_id": "[request id]",
      "status": 400,
      "title": "Bad Request",
      "type": "/problems/otp-invalid"
    }
    "#);
}

async fn verifying_logs_nobody_in(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let response = ada.verify(&code).await.assert_status(200);
    assert!(!response.text.contains("token"), "{}", response.text);
    assert_eq!(app.row_count("logins").await, 0);
}

async fn every_bad_field_of_a_code_is_named(app: &TestApp) {
    let client = app.client();
    for body in [json!({}), json!({ "email": 7, "otp": 123456 }), json!({ "email": "ada", "otp": "\0" })] {
        let response = client.post("/auth/verify-otp", body.clone()).await.assert_status(422);
        assert_eq!(response.invalid_fields(), ["body.email", "body.otp"], "{body}");
    }
}

async fn a_code_may_be_typed_with_another_case_of_the_address(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let body = json!({ "email": ada.email.to_uppercase(), "otp": code });
    ada.client.post("/auth/verify-otp", body).await.assert_status(200);
}
