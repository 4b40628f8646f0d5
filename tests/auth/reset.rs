//! `POST /auth/request-password-reset` and `/auth/reset-password`

use serde_json::json;

use crate::{
    auth::wrong,
    harness::{Person, Response, TestApp, concurrently, snapshot, tests_on_both_profiles},
};

const NEW: &str = "a new and much longer word";

tests_on_both_profiles! {
    the_app_tests_the_reset_code_with_dummy_password_123,
    asking_for_a_reset_tells_nothing,
    first_the_shape_then_the_code_then_the_password,
    a_refused_password_keeps_the_code,
    a_reset_code_is_good_once,
    of_many_resets_at_once_one_is_done,
    a_reset_ends_every_log_in_and_is_mailed,
    a_reset_of_an_inactive_account_activates_it,
    a_reset_ends_the_claims_of_strangers,
    a_wrong_reset_code_is_told_alike_for_everyone,
    five_wrong_guesses_end_a_reset_code,
    a_reset_code_is_good_for_five_minutes,
}

/// Asks for a reset and reads the code.
async fn asked(app: &TestApp, person: &Person) -> String {
    person.client.post("/auth/request-password-reset", json!({ "email": person.email })).await.assert_status(202);
    app.mail_to(&person.email).await.code()
}

async fn reset(person: &Person, code: &str, password: &str) -> Response {
    let body = json!({ "email": person.email, "otp": code, "new_password": password });
    person.client.post("/auth/reset-password", body).await
}

/// The "unmodified app" flow: it takes a 422 whose `detail` says `password`, and not `Invalid`, for "the code is right".
async fn the_app_tests_the_reset_code_with_dummy_password_123(app: &TestApp) {
    let ada = app.verified("ada").await;
    let code = asked(app, &ada).await;
    let tested_wrong = reset(&ada, &wrong(&code), "dummyPassword123").await.assert_status(400);
    assert!(tested_wrong.detail().contains("Invalid") && !tested_wrong.detail().contains("password"));
    let tested = reset(&ada, &code, "dummyPassword123").await.assert_status(422);
    assert!(tested.detail().contains("password") && !tested.detail().contains("Invalid"), "{}", tested.detail());
    ada.log_in().await.assert_status(200);
    assert_eq!(ada.log_in_with("dummyPassword123").await.status, 401, "it is nobody's password");
    let done = reset(&ada, &code, NEW).await;
    snapshot!(done, @r#"
    200 {
      "message": "Password has been reset successfully."
    }
    "#);
    ada.log_in_with(NEW).await.assert_status(200);
    ada.log_in().await.assert_status(401);
}

async fn asking_for_a_reset_tells_nothing(app: &TestApp) {
    let (ada, fresh, nobody) = (app.verified("ada").await, app.register("bob").await, app.person("nobody"));
    app.mail_to(&fresh.email).await;
    let mut told = Vec::new();
    for person in [&ada, &fresh, &nobody] {
        let response = person.client.post("/auth/request-password-reset", json!({ "email": person.email })).await;
        told.push(response.assert_status(202).redacted());
    }
    assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
    let mail = app.mail_to(&ada.email).await;
    assert!(mail.text.contains("new password"), "{}", mail.text);
    app.mail_to(&fresh.email).await;
    app.expect_no_mail_to(&nobody.email).await;
    let refused = ada.client.post("/auth/request-password-reset", json!({ "email": "ada" })).await.assert_status(422);
    assert_eq!(refused.invalid_fields(), ["body.email"]);
}

async fn first_the_shape_then_the_code_then_the_password(app: &TestApp) {
    let ada = app.verified("ada").await;
    let code = asked(app, &ada).await;
    let shapeless =
        ada.client.post("/auth/reset-password", json!({ "email": 1, "otp": wrong(&code) })).await.assert_status(422);
    assert_eq!(shapeless.invalid_fields(), ["body.email", "body.new_password"]);
    for bad in ["short", "dummyPassword123", &"x".repeat(129)] {
        let refused = reset(&ada, &wrong(&code), bad).await.assert_status(400);
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
        assert!(!detail.to_lowercase().contains("password"), "the app would take it for a right code: {detail}");
    }
}

async fn a_refused_password_keeps_the_code(app: &TestApp) {
    let ada = app.verified("ada").await;
    let code = asked(app, &ada).await;
    for bad in ["", "short", "dummyPassword123", &"x".repeat(129)] {
        let refused = reset(&ada, &code, bad).await.assert_status(422);
        assert!(refused.detail().contains("password") && !refused.detail().contains("Invalid"), "{}", refused.detail());
    }
    assert!(ada.is_logged_in().await, "nothing has changed yet");
    reset(&ada, &code, NEW).await.assert_status(200);
}

async fn a_reset_code_is_good_once(app: &TestApp) {
    let ada = app.verified("ada").await;
    let code = asked(app, &ada).await;
    reset(&ada, &code, NEW).await.assert_status(200);
    let again = reset(&ada, &code, "yet another long word").await.assert_status(400);
    assert_eq!(again.detail(), "Invalid or expired OTP.");
    ada.log_in_with(NEW).await.assert_status(200);
}

async fn of_many_resets_at_once_one_is_done(app: &TestApp) {
    let ada = app.verified("ada").await;
    let code = asked(app, &ada).await;
    let calls = (0..10).map(|number| {
        let (ada, code) = (ada.using(app.client()), code.clone());
        async move {
            let password = format!("a new and longer word, no. {number}");
            (reset(&ada, &code, &password).await.status, password)
        }
    });
    let told = concurrently(calls).await;
    let done: Vec<_> = told.iter().filter(|(status, _)| *status == 200).collect();
    let [(_, password)] = done.as_slice() else { panic!("one was to be done: {told:?}") };
    assert!(told.iter().all(|(status, _)| [200, 400].contains(status)), "{told:?}");
    ada.log_in_with(password).await.assert_status(200);
}

async fn a_reset_ends_every_log_in_and_is_mailed(app: &TestApp) {
    let ada = app.verified("ada").await;
    let desk = ada.log_in_again().await;
    let code = asked(app, &ada).await;
    reset(&ada, &code, NEW).await.assert_status(200);
    for person in [&ada, &desk] {
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
    let code = asked(app, &ada).await;
    reset(&ada, &code, NEW).await.assert_status(200);
    let user = ada.log_in_with(NEW).await.assert_status(200);
    assert_eq!(user.json["status"], "active");
    ada.verify(&to_verify).await.assert_status(400);
    ada.log_in().await.assert_status(401);
}

async fn a_reset_ends_the_claims_of_strangers(app: &TestApp) {
    let owner = app.register("ada").await;
    app.mail_to(&owner.email).await;
    let stranger = Person { email: owner.email.clone(), ..app.person("eve") };
    stranger.register().await.assert_status(201);
    let strangers_code = app.mail_to(&owner.email).await.code();
    let code = asked(app, &owner).await;
    reset(&owner, &code, NEW).await.assert_status(200);
    stranger.verify(&strangers_code).await.assert_status(400);
    stranger.log_in().await.assert_status(401);
    owner.log_in_with(NEW).await.assert_status(200);
    assert_eq!(app.row_count("claims").await, 0);
}

async fn a_wrong_reset_code_is_told_alike_for_everyone(app: &TestApp) {
    let (ada, nobody) = (app.verified("ada").await, app.person("nobody"));
    let (known, unknown) = (reset(&ada, "000000", NEW).await, reset(&nobody, "000000", NEW).await);
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
    let refused = reset(&nobody, "000000", "dummyPassword123").await;
    assert_eq!(refused.redacted(), unknown.redacted(), "an unknown address has no right code");
}

async fn five_wrong_guesses_end_a_reset_code(app: &TestApp) {
    let ada = app.verified("ada").await;
    let code = asked(app, &ada).await;
    for _ in 0..5 {
        reset(&ada, &wrong(&code), NEW).await.assert_status(400);
    }
    reset(&ada, &code, NEW).await.assert_status(400);
    ada.log_in().await.assert_status(200);
}

async fn a_reset_code_is_good_for_five_minutes(app: &TestApp) {
    let ada = app.verified("ada").await;
    let late = asked(app, &ada).await;
    app.advance(5);
    reset(&ada, &late, NEW).await.assert_status(400);
    let fresh = asked(app, &ada).await;
    app.advance_seconds(4 * 60 + 40);
    reset(&ada, &fresh, NEW).await.assert_status(200);
}
