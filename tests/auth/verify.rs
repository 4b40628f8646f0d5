//! `POST /auth/verify-otp`

use serde_json::json;

use crate::harness::{TestApp, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    a_code_activates_the_account,
    a_wrong_code_gets_the_same_response_for_every_account,
    verifying_does_not_log_in,
    every_invalid_field_of_a_verification_is_named,
    a_code_is_accepted_with_the_address_in_another_case,
}

async fn a_code_activates_the_account(app: &TestApp) {
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
        "language": null,
        "last_name": "Lovelace",
        "role": "user",
        "status": "active",
        "time_zone": null
      }
    }
    "#);
    let id = response.json["user"]["id"].as_i64().expect("an id");
    app.events_of(id, &["user.registered", "user.verified"]).await;
    ada.log_in().await.assert_status(200);
}

async fn a_wrong_code_gets_the_same_response_for_every_account(app: &TestApp) {
    let (ada, bob, stranger) = (app.register("ada").await, app.verified("bob").await, app.person("stranger"));
    let code = app.mail_to(&ada.email).await.code();
    let wrong = crate::auth::wrong_code(&code);
    let mut responses = Vec::new();
    for person in [&ada, &bob, &stranger] {
        responses.push(person.verify(&wrong).await.assert_status(400).redacted());
    }
    assert!(responses.iter().all(|response| *response == responses[0]), "{responses:?}");
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

async fn verifying_does_not_log_in(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let response = ada.verify(&code).await.assert_status(200);
    assert!(!response.text.contains("token"), "{}", response.text);
    assert_eq!(app.row_count("logins").await, 0);
}

async fn every_invalid_field_of_a_verification_is_named(app: &TestApp) {
    let client = app.client();
    for body in [json!({}), json!({ "email": 7, "otp": 123456 }), json!({ "email": "ada", "otp": "\0" })] {
        let response = client.post("/auth/verify-otp", body.clone()).await.assert_status(422);
        assert_eq!(response.invalid_fields(), ["body.email", "body.otp"], "{body}");
    }
}

async fn a_code_is_accepted_with_the_address_in_another_case(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let body = json!({ "email": ada.email.to_uppercase(), "otp": code });
    ada.client.post("/auth/verify-otp", body).await.assert_status(200);
}
