//! `POST /auth/request-password-reset` and `/auth/reset-password`

use serde_json::json;

use crate::{
    auth::wrong_code,
    harness::{Person, TestApp, concurrently, snapshot, tests_on_both_profiles},
};

const NEW: &str = "a new and much longer word";

tests_on_both_profiles! {
    the_app_tests_the_reset_code_with_dummy_password_123,
    a_reset_request_does_not_reveal_whether_an_account_exists,
    a_reset_checks_the_shape_then_the_code_then_the_password,
    a_refused_password_keeps_the_code,
    a_reset_code_is_accepted_once,
    of_concurrent_resets_one_succeeds,
    a_reset_ends_every_login_and_is_mailed,
    a_reset_of_an_inactive_account_activates_it,
    a_reset_deletes_the_pending_registrations_of_strangers,
    a_wrong_reset_code_gets_the_same_response_for_known_and_unknown_addresses,
    five_wrong_guesses_revoke_a_reset_code,
    a_reset_code_expires_after_five_minutes,
}

/// Requests a reset and reads the code.
async fn requested_code(app: &TestApp, person: &Person) -> String {
    person.request_password_reset().await.assert_status(202);
    app.mail_to(&person.email).await.code()
}

/// The flow of the unmodified app: a 422 whose `detail` contains `password` and not `Invalid` means that the code is right.
async fn the_app_tests_the_reset_code_with_dummy_password_123(app: &TestApp) {
    let ada = app.verified("ada").await;
    let code = requested_code(app, &ada).await;
    let tested_wrong = ada.reset_password(&wrong_code(&code), "dummyPassword123").await.assert_status(400);
    assert!(tested_wrong.detail().contains("Invalid") && !tested_wrong.detail().contains("password"));
    let tested = ada.reset_password(&code, "dummyPassword123").await.assert_status(422);
    assert!(tested.detail().contains("password") && !tested.detail().contains("Invalid"), "{}", tested.detail());
    ada.log_in().await.assert_status(200);
    assert_eq!(ada.log_in_with("dummyPassword123").await.status, 401, "the probe changes no password");
    let done = ada.reset_password(&code, NEW).await;
    snapshot!(done, @r#"
    200 {
      "message": "Password has been reset successfully."
    }
    "#);
    ada.log_in_with(NEW).await.assert_status(200);
    ada.log_in().await.assert_status(401);
}

async fn a_reset_request_does_not_reveal_whether_an_account_exists(app: &TestApp) {
    let (ada, fresh, stranger) = (app.verified("ada").await, app.register("bob").await, app.person("stranger"));
    app.mail_to(&fresh.email).await;
    let mut responses = Vec::new();
    for person in [&ada, &fresh, &stranger] {
        let response = person.request_password_reset().await;
        responses.push(response.assert_status(202).redacted());
    }
    assert!(responses.iter().all(|response| *response == responses[0]), "{responses:?}");
    let mail = app.mail_to(&ada.email).await;
    assert!(mail.text.contains("new password"), "{}", mail.text);
    app.mail_to(&fresh.email).await;
    app.expect_no_mail_to(&stranger.email).await;
    let refused = ada.client.post("/auth/request-password-reset", json!({ "email": "ada" })).await.assert_status(422);
    assert_eq!(refused.invalid_fields(), ["body.email"]);
}

async fn a_reset_checks_the_shape_then_the_code_then_the_password(app: &TestApp) {
    let ada = app.verified("ada").await;
    let code = requested_code(app, &ada).await;
    let shapeless = ada
        .client
        .post("/auth/reset-password", json!({ "email": 1, "otp": wrong_code(&code) }))
        .await
        .assert_status(422);
    assert_eq!(shapeless.invalid_fields(), ["body.email", "body.new_password"]);
    for bad in ["short", "dummyPassword123", &"x".repeat(129)] {
        let refused = ada.reset_password(&wrong_code(&code), bad).await.assert_status(400);
        assert_eq!(refused.detail(), "Invalid or expired OTP.", "{bad}");
    }
    let details = [
        shapeless.detail().to_owned(),
        ada.client.post("/auth/reset-password", json!({})).await.assert_status(422).detail().to_owned(),
        ada.client
            .post("/auth/reset-password", json!({ "new_password": 7 }))
            .await
            .assert_status(422)
            .detail()
            .to_owned(),
    ];
    for detail in details {
        assert!(!detail.to_lowercase().contains("password"), "the app would take the code for right: {detail}");
    }
}

async fn a_refused_password_keeps_the_code(app: &TestApp) {
    let ada = app.verified("ada").await;
    let code = requested_code(app, &ada).await;
    for bad in ["", "short", "dummyPassword123", &"x".repeat(129)] {
        let refused = ada.reset_password(&code, bad).await.assert_status(422);
        assert!(refused.detail().contains("password") && !refused.detail().contains("Invalid"), "{}", refused.detail());
    }
    assert!(ada.is_logged_in().await, "nothing has changed");
    ada.reset_password(&code, NEW).await.assert_status(200);
}

async fn a_reset_code_is_accepted_once(app: &TestApp) {
    let ada = app.verified("ada").await;
    let code = requested_code(app, &ada).await;
    ada.reset_password(&code, NEW).await.assert_status(200);
    let again = ada.reset_password(&code, "yet another long word").await.assert_status(400);
    assert_eq!(again.detail(), "Invalid or expired OTP.");
    ada.log_in_with(NEW).await.assert_status(200);
}

async fn of_concurrent_resets_one_succeeds(app: &TestApp) {
    let ada = app.verified("ada").await;
    let code = requested_code(app, &ada).await;
    let calls = (0..10).map(|number| {
        let (ada, code) = (ada.using(app.client()), code.clone());
        async move {
            let password = format!("a new and longer word, no. {number}");
            (ada.reset_password(&code, &password).await.status, password)
        }
    });
    let statuses = concurrently(calls).await;
    let done: Vec<_> = statuses.iter().filter(|(status, _)| *status == 200).collect();
    let [(_, password)] = done.as_slice() else { panic!("not exactly one succeeded: {statuses:?}") };
    assert!(statuses.iter().all(|(status, _)| [200, 400].contains(status)), "{statuses:?}");
    ada.log_in_with(password).await.assert_status(200);
}

async fn a_reset_ends_every_login_and_is_mailed(app: &TestApp) {
    let ada = app.verified("ada").await;
    let laptop = ada.log_in_again().await;
    let code = requested_code(app, &ada).await;
    ada.reset_password(&code, NEW).await.assert_status(200);
    for person in [&ada, &laptop] {
        assert!(!person.is_logged_in().await);
        person.refresh().await.assert_status(401);
    }
    let mail = app.mail_to(&ada.email).await;
    assert!(mail.has_no_code() && mail.text.contains("was changed"), "{}", mail.text);
    assert!(!mail.raw.contains(NEW));
    app.events_of(ada.id, &["user.registered", "user.verified", "user.password_changed"]).await;
}

async fn a_reset_of_an_inactive_account_activates_it(app: &TestApp) {
    let ada = app.register("ada").await;
    let to_verify = app.mail_to(&ada.email).await.code();
    let code = requested_code(app, &ada).await;
    ada.reset_password(&code, NEW).await.assert_status(200);
    let user = ada.log_in_with(NEW).await.assert_status(200);
    assert_eq!(user.json["status"], "active");
    ada.verify(&to_verify).await.assert_status(400);
    ada.log_in().await.assert_status(401);
}

async fn a_reset_deletes_the_pending_registrations_of_strangers(app: &TestApp) {
    let owner = app.register("ada").await;
    app.mail_to(&owner.email).await;
    let stranger = Person { email: owner.email.clone(), ..app.person("eve") };
    stranger.register().await.assert_status(201);
    let strangers_code = app.mail_to(&owner.email).await.code();
    let code = requested_code(app, &owner).await;
    owner.reset_password(&code, NEW).await.assert_status(200);
    stranger.verify(&strangers_code).await.assert_status(400);
    stranger.log_in().await.assert_status(401);
    owner.log_in_with(NEW).await.assert_status(200);
    assert_eq!(app.row_count("claims").await, 0);
}

async fn a_wrong_reset_code_gets_the_same_response_for_known_and_unknown_addresses(app: &TestApp) {
    let (ada, stranger) = (app.verified("ada").await, app.person("stranger"));
    let (known, unknown) = (ada.reset_password("000000", NEW).await, stranger.reset_password("000000", NEW).await);
    assert_eq!(known.redacted(), unknown.redacted());
    snapshot!(known, @r#"
    400 {
      "detail": "Invalid or expired OTP.",
      "request_id": "[request id]",
      "status": 400,
      "title": "Bad Request",
      "type": "/problems/otp-invalid"
    }
    "#);
    let refused = stranger.reset_password("000000", "dummyPassword123").await;
    assert_eq!(refused.redacted(), unknown.redacted(), "an unknown address has no code");
}

async fn five_wrong_guesses_revoke_a_reset_code(app: &TestApp) {
    let ada = app.verified("ada").await;
    let code = requested_code(app, &ada).await;
    for _ in 0..5 {
        ada.reset_password(&wrong_code(&code), NEW).await.assert_status(400);
    }
    ada.reset_password(&code, NEW).await.assert_status(400);
    ada.log_in().await.assert_status(200);
}

async fn a_reset_code_expires_after_five_minutes(app: &TestApp) {
    let ada = app.verified("ada").await;
    let late = requested_code(app, &ada).await;
    app.advance(5);
    ada.reset_password(&late, NEW).await.assert_status(400);
    let fresh = requested_code(app, &ada).await;
    app.advance_seconds(4 * 60 + 40);
    ada.reset_password(&fresh, NEW).await.assert_status(200);
}
