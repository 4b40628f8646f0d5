//! `POST /users/me/email` and `/confirm`

use serde_json::{Value, json};

use crate::{
    auth::wrong_code,
    harness::{Claims, Person, Response, TestApp, concurrently, snapshot, tests_on_both_profiles},
};

tests_on_both_profiles! {
    a_user_changes_their_address,
    the_old_address_is_notified_and_valid_until_the_change,
    a_taken_address_gets_the_same_response,
    an_address_verified_meanwhile_is_a_conflict,
    a_stranger_who_registered_the_address_first_does_not_keep_it,
    a_wrong_current_password_requests_no_change,
    wrong_current_passwords_count_as_failed_logins,
    the_current_address_is_refused,
    a_wrong_code_gets_the_same_response_with_and_without_a_pending_change,
    five_wrong_guesses_revoke_the_code_of_a_change,
    the_code_of_a_change_expires_after_five_minutes,
    a_code_of_another_purpose_changes_no_address,
    of_concurrent_confirmations_one_succeeds,
    a_change_ends_the_other_logins,
    a_change_revokes_the_codes_of_the_old_address,
    a_change_needs_a_token,
    every_invalid_field_of_a_change_is_named,
}

/// The address that the person changes to.
fn new_address(person: &Person) -> String {
    format!("new.{}", person.email)
}

async fn request_change(person: &Person, to: &str) -> Response {
    person.post("/users/me/email", json!({ "new_email": to, "current_password": person.password })).await
}

async fn confirm(person: &Person, code: &str) -> Response {
    person.post("/users/me/email/confirm", json!({ "otp": code })).await
}

/// A user with a pending change and the code that was mailed to the new address. The notice to the old one is unread.
async fn pending_change(app: &TestApp) -> (Person, String) {
    let ada = app.verified("ada").await;
    request_change(&ada, &new_address(&ada)).await.assert_status(202);
    let code = app.mail_to(&new_address(&ada)).await.code();
    (ada, code)
}

fn at(email: &str, person: &Person) -> Person {
    Person { email: email.to_owned(), ..person.clone() }
}

async fn a_user_changes_their_address(app: &TestApp) {
    let ada = app.verified("ada").await;
    let to = new_address(&ada);
    let requested = request_change(&ada, &format!("  {} ", to.to_uppercase())).await;
    snapshot!(requested, @r#"
    202 {
      "message": "A code is on its way to the new address. Until it is confirmed, the old one holds."
    }
    "#);
    let mail = app.mail_to(&to).await;
    assert!(mail.text.contains("Ada Lovelace") && mail.text.contains("5 minutes"), "{}", mail.text);
    let changed = confirm(&ada, &mail.code()).await;
    snapshot!(changed, @r#"
    200 {
      "message": "E-mail address changed successfully.",
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
    assert_eq!(changed.json["user"]["email"], json!(to));
    assert_eq!(
        ada.get("/auth/me").await.assert_status(200).json,
        changed.json["user"],
        "the next request sees the change"
    );
    assert_eq!(at(&to, &ada).log_in().await.assert_status(200).number_of("id"), ada.id);
    ada.log_in().await.assert_status(401);
    let events = app.events_of(ada.id, &["user.registered", "user.verified", "user.email_changed"]).await;
    assert_eq!(events[2].json["data"], json!({ "user_id": ada.id }));
    assert_eq!(events[2].json["causedby"], json!(format!("user/{}", ada.id)));
}

async fn the_old_address_is_notified_and_valid_until_the_change(app: &TestApp) {
    let (ada, code) = pending_change(app).await;
    let asked = app.mail_to(&ada.email).await;
    assert!(asked.has_no_code() && asked.text.contains("someone knows your password"), "{}", asked.text);
    ada.log_in().await.assert_status(200);
    at(&new_address(&ada), &ada).log_in().await.assert_status(401);
    confirm(&ada, &code).await.assert_status(200);
    let changed = app.mail_to(&ada.email).await;
    assert!(changed.has_no_code() && changed.text.contains("was changed"), "{}", changed.text);
    for mail in [asked, changed] {
        assert!(!mail.raw.contains(&new_address(&ada)), "the mail to the old address does not contain the new one");
    }
    app.expect_no_mail_to(&new_address(&ada)).await;
}

async fn a_taken_address_gets_the_same_response(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let (taken, free) = (
        request_change(&ada, &bob.email).await.assert_status(202),
        request_change(&ada, &new_address(&ada)).await.assert_status(202),
    );
    assert_eq!(taken.redacted(), free.redacted());
    request_change(&ada, &bob.email).await.assert_status(202);
    let mail = app.mail_to(&bob.email).await;
    assert!(mail.has_no_code() && mail.text.contains("nothing was changed"), "{}", mail.text);
    assert!(!mail.raw.contains(&ada.email) && !mail.text.contains("Lovelace"), "{}", mail.raw);
    let refused = confirm(&ada, "000000").await.assert_status(400);
    assert_eq!(refused.kind(), "otp-invalid");
    assert_eq!(bob.log_in().await.assert_status(200).number_of("id"), bob.id);
}

async fn an_address_verified_meanwhile_is_a_conflict(app: &TestApp) {
    let (ada, code) = pending_change(app).await;
    let owner = at(&new_address(&ada), &app.person("bob"));
    owner.register().await.assert_status(201);
    owner.verify(&app.mail_to(&owner.email).await.code()).await.assert_status(200);
    let refused = confirm(&ada, &code).await;
    snapshot!(refused, @r#"
    409 {
      "detail": "This e-mail address has an account already.",
      "request_id": "[request id]",
      "status": 409,
      "title": "Conflict",
      "type": "/problems/email-taken"
    }
    "#);
    assert_eq!(ada.get("/auth/me").await.assert_status(200).text_of("email"), ada.email);
    owner.log_in().await.assert_status(200);
}

async fn a_stranger_who_registered_the_address_first_does_not_keep_it(app: &TestApp) {
    let ada = app.verified("ada").await;
    let stranger = at(&new_address(&ada), &app.person("eve"));
    stranger.register().await.assert_status(201);
    let to_verify = app.mail_to(&stranger.email).await.code();
    request_change(&ada, &stranger.email).await.assert_status(202);
    let code = app.mail_to(&stranger.email).await.code();
    confirm(&ada, &code).await.assert_status(200);
    stranger.verify(&to_verify).await.assert_status(400);
    stranger.log_in().await.assert_status(401);
    assert_eq!(app.row_count("users").await, 1);
}

async fn a_wrong_current_password_requests_no_change(app: &TestApp) {
    let ada = app.verified("ada").await;
    let body = json!({ "new_email": new_address(&ada), "current_password": "not the password" });
    let refused = ada.post("/users/me/email", body).await;
    snapshot!(refused, @r#"
    400 {
      "detail": "The current password is not right.",
      "request_id": "[request id]",
      "status": 400,
      "title": "Bad Request",
      "type": "/problems/wrong-password"
    }
    "#);
    app.expect_no_mail_to(&new_address(&ada)).await;
    app.expect_no_mail_to(&ada.email).await;
    assert_eq!(app.row_count("address_changes").await, 0);
}

async fn wrong_current_passwords_count_as_failed_logins(app: &TestApp) {
    let ada = app.verified("ada").await;
    let body = json!({ "new_email": new_address(&ada), "current_password": "not the password" });
    for _ in 0..10 {
        ada.post("/users/me/email", body.clone()).await.assert_status(400);
    }
    request_change(&ada, &new_address(&ada)).await.assert_status(429);
    ada.log_in().await.assert_status(429);
    app.advance(11);
    request_change(&ada, &new_address(&ada)).await.assert_status(202);
}

async fn the_current_address_is_refused(app: &TestApp) {
    let ada = app.verified("ada").await;
    let refused = request_change(&ada, &ada.email.to_uppercase()).await.assert_status(422);
    snapshot!(refused, @r#"
    422 {
      "detail": "This is the address of your account already.",
      "errors": [
        {
          "loc": [
            "body",
            "new_email"
          ],
          "msg": "This is the address of your account already."
        }
      ],
      "request_id": "[request id]",
      "status": 422,
      "title": "Unprocessable Entity",
      "type": "/problems/email-unchanged"
    }
    "#);
    app.expect_no_mail_to(&ada.email).await;
}

async fn a_wrong_code_gets_the_same_response_with_and_without_a_pending_change(app: &TestApp) {
    let (bob, (ada, code)) = (app.verified("bob").await, pending_change(app).await);
    let (pending, none) = (confirm(&ada, &wrong_code(&code)).await, confirm(&bob, &code).await);
    assert_eq!(pending.redacted(), none.redacted());
    snapshot!(pending, @r#"
    400 {
      "detail": "Invalid or expired OTP",
      "request_id": "[request id]",
      "status": 400,
      "title": "Bad Request",
      "type": "/problems/otp-invalid"
    }
    "#);
    confirm(&ada, &code).await.assert_status(200);
}

async fn five_wrong_guesses_revoke_the_code_of_a_change(app: &TestApp) {
    let (ada, code) = pending_change(app).await;
    for _ in 0..5 {
        confirm(&ada, &wrong_code(&code)).await.assert_status(400);
    }
    confirm(&ada, &code).await.assert_status(400);
    assert_eq!(ada.get("/auth/me").await.assert_status(200).text_of("email"), ada.email);
}

async fn the_code_of_a_change_expires_after_five_minutes(app: &TestApp) {
    let (ada, late) = pending_change(app).await;
    app.advance(5);
    confirm(&ada, &late).await.assert_status(400);
    request_change(&ada, &new_address(&ada)).await.assert_status(202);
    let fresh = app.mail_to(&new_address(&ada)).await.code();
    app.advance_seconds(4 * 60 + 40);
    confirm(&ada, &fresh).await.assert_status(200);
}

async fn a_code_of_another_purpose_changes_no_address(app: &TestApp) {
    let (ada, code) = pending_change(app).await;
    let newcomer = at(&new_address(&ada), &app.person("bob"));
    newcomer.register().await.assert_status(201);
    let to_verify = app.mail_to(&newcomer.email).await.code();
    if to_verify != code {
        confirm(&ada, &to_verify).await.assert_status(400);
        newcomer.verify(&code).await.assert_status(400);
    }
    confirm(&ada, &code).await.assert_status(200);
}

async fn of_concurrent_confirmations_one_succeeds(app: &TestApp) {
    let (ada, code) = pending_change(app).await;
    let calls = (0..8).map(|_| {
        let (ada, code) = (ada.using(app.client()), code.clone());
        async move { confirm(&ada, &code).await.status }
    });
    let mut statuses = concurrently(calls).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400, 400, 400, 400, 400, 400]);
    app.events_of(ada.id, &["user.registered", "user.verified", "user.email_changed"]).await;
}

/// The access token that confirmed the change stays valid. It holds the address from its time of issue.
async fn a_change_ends_the_other_logins(app: &TestApp) {
    let (ada, code) = pending_change(app).await;
    let laptop = ada.log_in_again().await;
    assert!(laptop.is_logged_in().await);
    confirm(&ada, &code).await.assert_status(200);
    assert!(ada.is_logged_in().await && !laptop.is_logged_in().await);
    laptop.refresh().await.assert_status(401);
    let refreshed = ada.with_tokens(&ada.refresh().await.assert_status(200));
    assert_eq!(email_in(&ada.access), json!(ada.email));
    assert_eq!(email_in(&refreshed.access), json!(new_address(&ada)));
}

fn email_in(access: &str) -> Value {
    Claims::of(access).payload["email"].clone()
}

async fn a_change_revokes_the_codes_of_the_old_address(app: &TestApp) {
    let (ada, code) = pending_change(app).await;
    app.mail_to(&ada.email).await;
    ada.request_password_reset().await.assert_status(202);
    let reset = app.mail_to(&ada.email).await.code();
    confirm(&ada, &code).await.assert_status(200);
    ada.reset_password(&reset, "a new and much longer word").await.assert_status(400);
    ada.request_password_reset().await.assert_status(202);
    app.mail_to(&ada.email).await;
    app.expect_no_mail_to(&ada.email).await;
    at(&new_address(&ada), &ada).log_in().await.assert_status(200);
}

async fn a_change_needs_a_token(app: &TestApp) {
    let body = json!({ "new_email": "ada@example.org", "current_password": "password123" });
    app.client().post("/users/me/email", body).await.assert_status(401);
    app.client().post("/users/me/email/confirm", json!({ "otp": "000000" })).await.assert_status(401);
}

async fn every_invalid_field_of_a_change_is_named(app: &TestApp) {
    let ada = app.verified("ada").await;
    for body in [json!({}), json!({ "new_email": "ada", "current_password": 7 }), json!({ "new_email": "a\0@b.org" })] {
        let response = ada.post("/users/me/email", body.clone()).await.assert_status(422);
        assert_eq!(response.invalid_fields(), ["body.new_email", "body.current_password"], "{body}");
    }
    for body in [json!({}), json!({ "otp": 482_913 }), json!({ "otp": "\0" })] {
        assert_eq!(ada.post("/users/me/email/confirm", body).await.assert_status(422).invalid_fields(), ["body.otp"]);
    }
}
