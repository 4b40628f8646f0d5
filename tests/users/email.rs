//! `POST /users/me/email` and `/confirm`

use serde_json::{Value, json};

use crate::{
    auth::wrong,
    harness::{Claims, Person, Response, TestApp, concurrently, snapshot, tests_on_both_profiles},
};

tests_on_both_profiles! {
    a_user_moves_to_another_address,
    the_old_address_is_told_and_holds_until_then,
    a_taken_address_is_answered_just_the_same,
    an_address_that_was_proven_meanwhile_is_a_conflict,
    a_stranger_who_claimed_the_address_first_does_not_keep_it,
    a_wrong_current_password_asks_for_nothing,
    wrong_current_passwords_count_as_failed_log_ins,
    the_address_one_has_is_refused,
    wrong_codes_are_told_alike_whether_one_is_moving_or_not,
    five_wrong_guesses_end_a_code_for_a_move,
    a_code_for_a_move_is_good_for_five_minutes,
    a_code_of_another_kind_moves_nobody,
    of_many_confirmations_at_once_one_is_done,
    a_move_ends_the_other_log_ins,
    codes_for_the_old_address_die,
    nobody_moves_without_a_token,
    every_bad_field_of_a_move_is_named,
}

/// Where the person moves to.
fn new_address(person: &Person) -> String {
    format!("new.{}", person.email)
}

async fn ask(person: &Person, to: &str) -> Response {
    person.post("/users/me/email", json!({ "new_email": to, "current_password": person.password })).await
}

async fn confirm(person: &Person, code: &str) -> Response {
    person.post("/users/me/email/confirm", json!({ "otp": code })).await
}

/// Somebody whose code was mailed to their new address; both notices are unread.
async fn moving(app: &TestApp) -> (Person, String) {
    let ada = app.verified("ada").await;
    ask(&ada, &new_address(&ada)).await.assert_status(202);
    let code = app.mail_to(&new_address(&ada)).await.code();
    (ada, code)
}

fn at(email: &str, person: &Person) -> Person {
    Person { email: email.to_owned(), ..person.clone() }
}

async fn a_user_moves_to_another_address(app: &TestApp) {
    let ada = app.verified("ada").await;
    let to = new_address(&ada);
    let asked = ask(&ada, &format!("  {} ", to.to_uppercase())).await;
    snapshot!(asked, @r#"
    202 {
      "message": "A code is on its way to the new address. Until it is confirmed, the old one holds."
    }
    "#);
    let mail = app.mail_to(&to).await;
    assert!(mail.text.contains("Ada Lovelace") && mail.text.contains("5 minutes"), "{}", mail.text);
    let moved = confirm(&ada, &mail.code()).await;
    snapshot!(moved, @r#"
    200 {
      "message": "E-mail address changed successfully.",
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
    assert_eq!(moved.json["user"]["email"], json!(to));
    assert_eq!(ada.get("/auth/me").await.assert_status(200).json, moved.json["user"], "the very next request sees it");
    assert_eq!(at(&to, &ada).log_in().await.assert_status(200).number_of("id"), ada.id);
    ada.log_in().await.assert_status(401);
    let told = app.events_of(ada.id, &["user.registered", "user.verified", "user.email_changed"]).await;
    assert_eq!(told[2].json["data"], json!({ "user_id": ada.id }));
    assert_eq!(told[2].json["causedby"], json!(format!("user/{}", ada.id)));
}

async fn the_old_address_is_told_and_holds_until_then(app: &TestApp) {
    let (ada, code) = moving(app).await;
    let asked = app.mail_to(&ada.email).await;
    assert!(asked.has_no_code() && asked.text.contains("someone knows your password"), "{}", asked.text);
    ada.log_in().await.assert_status(200);
    at(&new_address(&ada), &ada).log_in().await.assert_status(401);
    confirm(&ada, &code).await.assert_status(200);
    let changed = app.mail_to(&ada.email).await;
    assert!(changed.has_no_code() && changed.text.contains("was changed"), "{}", changed.text);
    for mail in [asked, changed] {
        assert!(!mail.raw.contains(&new_address(&ada)), "whoever reads the old mailbox does not learn of the new one");
    }
    app.expect_no_mail_to(&new_address(&ada)).await;
}

async fn a_taken_address_is_answered_just_the_same(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let (taken, free) =
        (ask(&ada, &bob.email).await.assert_status(202), ask(&ada, &new_address(&ada)).await.assert_status(202));
    assert_eq!(taken.redacted(), free.redacted());
    ask(&ada, &bob.email).await.assert_status(202);
    let told = app.mail_to(&bob.email).await;
    assert!(told.has_no_code() && told.text.contains("nothing was changed"), "{}", told.text);
    assert!(!told.raw.contains(&ada.email) && !told.text.contains("Lovelace"), "{}", told.raw);
    let refused = confirm(&ada, "000000").await.assert_status(400);
    assert_eq!(refused.kind(), "otp-invalid");
    assert_eq!(bob.log_in().await.assert_status(200).number_of("id"), bob.id);
}

async fn an_address_that_was_proven_meanwhile_is_a_conflict(app: &TestApp) {
    let (ada, code) = moving(app).await;
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

async fn a_stranger_who_claimed_the_address_first_does_not_keep_it(app: &TestApp) {
    let ada = app.verified("ada").await;
    let stranger = at(&new_address(&ada), &app.person("eve"));
    stranger.register().await.assert_status(201);
    let to_verify = app.mail_to(&stranger.email).await.code();
    ask(&ada, &stranger.email).await.assert_status(202);
    let code = app.mail_to(&stranger.email).await.code();
    confirm(&ada, &code).await.assert_status(200);
    stranger.verify(&to_verify).await.assert_status(400);
    stranger.log_in().await.assert_status(401);
    assert_eq!(app.row_count("users").await, 1);
}

async fn a_wrong_current_password_asks_for_nothing(app: &TestApp) {
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

async fn wrong_current_passwords_count_as_failed_log_ins(app: &TestApp) {
    let ada = app.verified("ada").await;
    let body = json!({ "new_email": new_address(&ada), "current_password": "not the password" });
    for _ in 0..5 {
        ada.post("/users/me/email", body.clone()).await.assert_status(400);
        ada.log_in_with("not the password").await.assert_status(401);
    }
    ask(&ada, &new_address(&ada)).await.assert_status(429);
    ada.log_in().await.assert_status(429);
    app.advance(11);
    ask(&ada, &new_address(&ada)).await.assert_status(202);
}

async fn the_address_one_has_is_refused(app: &TestApp) {
    let ada = app.verified("ada").await;
    let refused = ask(&ada, &ada.email.to_uppercase()).await.assert_status(422);
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

async fn wrong_codes_are_told_alike_whether_one_is_moving_or_not(app: &TestApp) {
    let (bob, (ada, code)) = (app.verified("bob").await, moving(app).await);
    let (moving, staying) = (confirm(&ada, &wrong(&code)).await, confirm(&bob, &code).await);
    assert_eq!(moving.redacted(), staying.redacted());
    snapshot!(moving, @r#"
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

async fn five_wrong_guesses_end_a_code_for_a_move(app: &TestApp) {
    let (ada, code) = moving(app).await;
    for _ in 0..5 {
        confirm(&ada, &wrong(&code)).await.assert_status(400);
    }
    confirm(&ada, &code).await.assert_status(400);
    assert_eq!(ada.get("/auth/me").await.assert_status(200).text_of("email"), ada.email);
}

async fn a_code_for_a_move_is_good_for_five_minutes(app: &TestApp) {
    let (ada, late) = moving(app).await;
    app.advance(5);
    confirm(&ada, &late).await.assert_status(400);
    ask(&ada, &new_address(&ada)).await.assert_status(202);
    let fresh = app.mail_to(&new_address(&ada)).await.code();
    app.advance_seconds(4 * 60 + 40);
    confirm(&ada, &fresh).await.assert_status(200);
}

async fn a_code_of_another_kind_moves_nobody(app: &TestApp) {
    let (ada, code) = moving(app).await;
    let newcomer = at(&new_address(&ada), &app.person("bob"));
    newcomer.register().await.assert_status(201);
    let to_verify = app.mail_to(&newcomer.email).await.code();
    if to_verify != code {
        confirm(&ada, &to_verify).await.assert_status(400);
        newcomer.verify(&code).await.assert_status(400);
    }
    confirm(&ada, &code).await.assert_status(200);
}

async fn of_many_confirmations_at_once_one_is_done(app: &TestApp) {
    let (ada, code) = moving(app).await;
    let calls = (0..8).map(|_| {
        let (ada, code) = (ada.using(app.client()), code.clone());
        async move { confirm(&ada, &code).await.status }
    });
    let mut told = concurrently(calls).await;
    told.sort_unstable();
    assert_eq!(told, [200, 400, 400, 400, 400, 400, 400, 400]);
    app.events_of(ada.id, &["user.registered", "user.verified", "user.email_changed"]).await;
}

/// The token that confirmed lives on; what it says of the e-mail is only what was true when it was made.
async fn a_move_ends_the_other_log_ins(app: &TestApp) {
    let (ada, code) = moving(app).await;
    let desk = ada.log_in_again().await;
    assert!(desk.is_logged_in().await);
    confirm(&ada, &code).await.assert_status(200);
    assert!(ada.is_logged_in().await && !desk.is_logged_in().await);
    desk.refresh().await.assert_status(401);
    let refreshed = ada.with_tokens(&ada.refresh().await.assert_status(200));
    assert_eq!(email_in(&ada.access), json!(ada.email));
    assert_eq!(email_in(&refreshed.access), json!(new_address(&ada)));
}

fn email_in(access: &str) -> Value {
    Claims::of(access).payload["email"].clone()
}

async fn codes_for_the_old_address_die(app: &TestApp) {
    let (ada, code) = moving(app).await;
    app.mail_to(&ada.email).await;
    ada.client.post("/auth/request-password-reset", json!({ "email": ada.email })).await.assert_status(202);
    let reset = app.mail_to(&ada.email).await.code();
    confirm(&ada, &code).await.assert_status(200);
    let body = json!({ "email": ada.email, "otp": reset, "new_password": "a new and much longer word" });
    ada.client.post("/auth/reset-password", body).await.assert_status(400);
    ada.client.post("/auth/request-password-reset", json!({ "email": ada.email })).await.assert_status(202);
    app.mail_to(&ada.email).await;
    app.expect_no_mail_to(&ada.email).await;
    at(&new_address(&ada), &ada).log_in().await.assert_status(200);
}

async fn nobody_moves_without_a_token(app: &TestApp) {
    let body = json!({ "new_email": "ada@example.org", "current_password": "password123" });
    app.client().post("/users/me/email", body).await.assert_status(401);
    app.client().post("/users/me/email/confirm", json!({ "otp": "000000" })).await.assert_status(401);
}

async fn every_bad_field_of_a_move_is_named(app: &TestApp) {
    let ada = app.verified("ada").await;
    for body in [json!({}), json!({ "new_email": "ada", "current_password": 7 }), json!({ "new_email": "a\0@b.org" })] {
        let response = ada.post("/users/me/email", body.clone()).await.assert_status(422);
        assert_eq!(response.invalid_fields(), ["body.new_email", "body.current_password"], "{body}");
    }
    for body in [json!({}), json!({ "otp": 482_913 }), json!({ "otp": "\0" })] {
        assert_eq!(ada.post("/users/me/email/confirm", body).await.assert_status(422).invalid_fields(), ["body.otp"]);
    }
}
