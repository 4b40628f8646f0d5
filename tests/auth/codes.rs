//! How long codes live, how often they may be guessed, and how many are sent.

use serde_json::json;

use crate::{
    auth::wrong,
    harness::{TestApp, concurrently, eventually, tests_on_both_profiles},
};

tests_on_both_profiles! {
    a_code_is_good_for_less_than_five_minutes,
    a_code_is_good_for_five_minutes_from_its_sending_and_no_longer,
    a_code_is_good_once,
    of_many_who_type_a_code_at_once_one_is_told_that_it_is_right,
    five_wrong_guesses_end_a_code,
    wrong_guesses_at_once_count_too,
    right_codes_are_not_counted_as_guesses,
    a_wrong_guess_costs_every_live_code_of_the_address_a_try,
    a_verification_code_resets_no_password_and_a_reset_code_verifies_nobody,
    wrong_codes_from_one_client_address_are_limited with [("LIMIT_WRONG_CODES_PER_DAY_PER_CLIENT", "3")],
    wrong_codes_for_one_account_are_limited with [("LIMIT_WRONG_CODES_PER_DAY", "3")],
    at_most_three_codes_go_to_an_address_in_ten_minutes_and_two_by_one_client,
    codes_survive_a_restart,
    no_code_rests_readable,
}

async fn a_code_is_good_for_less_than_five_minutes(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    app.advance_seconds(4 * 60 + 40);
    ada.verify(&code).await.assert_status(200);
}

async fn a_code_is_good_for_five_minutes_from_its_sending_and_no_longer(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    app.advance(5);
    assert_eq!(ada.verify(&code).await.assert_status(400).detail(), "Invalid or expired OTP");
}

async fn a_code_is_good_once(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    ada.verify(&code).await.assert_status(200);
    ada.verify(&code).await.assert_status(400);
}

async fn of_many_who_type_a_code_at_once_one_is_told_that_it_is_right(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let calls = (0..12).map(|_| {
        let (ada, code) = (ada.using(app.client()), code.clone());
        async move { ada.verify(&code).await.status }
    });
    let mut told = concurrently(calls).await;
    told.sort_unstable();
    assert_eq!((told[0], told[1]), (200, 400), "{told:?}");
    assert_eq!(told.iter().filter(|status| **status == 400).count(), 11, "{told:?}");
}

async fn five_wrong_guesses_end_a_code(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    for _ in 0..4 {
        ada.verify(&wrong(&code)).await.assert_status(400);
    }
    let bob = app.register("bob").await;
    let bobs = app.mail_to(&bob.email).await.code();
    ada.verify(&wrong(&code)).await.assert_status(400);
    ada.verify(&code).await.assert_status(400);
    for _ in 0..4 {
        bob.verify(&wrong(&bobs)).await.assert_status(400);
    }
    bob.verify(&bobs).await.assert_status(200);
}

async fn wrong_guesses_at_once_count_too(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let calls = (0..10).map(|_| {
        let (ada, guess) = (ada.using(app.client()), wrong(&code));
        async move { ada.verify(&guess).await.status }
    });
    assert_eq!(concurrently(calls).await, [400; 10]);
    ada.verify(&code).await.assert_status(400);
}

/// The app sends the reset code twice; only wrong guesses count.
async fn right_codes_are_not_counted_as_guesses(app: &TestApp) {
    let ada = app.verified("ada").await;
    ada.client.post("/auth/request-password-reset", json!({ "email": ada.email })).await.assert_status(202);
    let code = app.mail_to(&ada.email).await.code();
    let body = |password: &str| json!({ "email": ada.email, "otp": code, "new_password": password });
    for _ in 0..10 {
        ada.client.post("/auth/reset-password", body("dummyPassword123")).await.assert_status(422);
    }
    ada.client.post("/auth/reset-password", body("a new and longer word")).await.assert_status(200);
}

async fn a_wrong_guess_costs_every_live_code_of_the_address_a_try(app: &TestApp) {
    let ada = app.register("ada").await;
    let first = app.mail_to(&ada.email).await.code();
    ada.register().await.assert_status(201);
    let second = app.mail_to(&ada.email).await.code();
    let neither = [wrong(&first), wrong(&wrong(&first))].into_iter().find(|guess| *guess != second).expect("one is");
    for _ in 0..5 {
        ada.verify(&neither).await.assert_status(400);
    }
    ada.verify(&first).await.assert_status(400);
    ada.verify(&second).await.assert_status(400);
}

async fn a_verification_code_resets_no_password_and_a_reset_code_verifies_nobody(app: &TestApp) {
    let ada = app.register("ada").await;
    let to_verify = app.mail_to(&ada.email).await.code();
    ada.client.post("/auth/request-password-reset", json!({ "email": ada.email })).await.assert_status(202);
    let to_reset = app.mail_to(&ada.email).await.code();
    if to_verify != to_reset {
        let body = json!({ "email": ada.email, "otp": to_verify, "new_password": "a new and longer word" });
        ada.client.post("/auth/reset-password", body).await.assert_status(400);
        ada.verify(&to_reset).await.assert_status(400);
    }
    ada.verify(&to_verify).await.assert_status(200);
}

async fn wrong_codes_from_one_client_address_are_limited(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let guesser = ada.using(app.client());
    for _ in 0..3 {
        guesser.verify(&wrong(&code)).await.assert_status(400);
    }
    guesser.verify(&code).await.assert_status(429);
    ada.verify(&code).await.assert_status(200);
}

async fn wrong_codes_for_one_account_are_limited(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    for _ in 0..3 {
        ada.using(app.client()).verify(&wrong(&code)).await.assert_status(400);
    }
    ada.using(app.client()).verify(&code).await.assert_status(429);
    let bob = app.register("bob").await;
    let bobs = app.mail_to(&bob.email).await.code();
    bob.verify(&bobs).await.assert_status(200);
    app.advance(24 * 60 + 1);
    ada.register().await.assert_status(201);
    let fresh = app.mail_to(&ada.email).await.code();
    ada.verify(&fresh).await.assert_status(200);
}

async fn at_most_three_codes_go_to_an_address_in_ten_minutes_and_two_by_one_client(app: &TestApp) {
    let ada = app.person("ada");
    let first = ada.register().await.assert_status(201);
    for _ in 0..2 {
        assert_eq!(ada.register().await.assert_status(201).redacted(), first.redacted(), "the answer is the same");
    }
    app.mail_to(&ada.email).await;
    app.mail_to(&ada.email).await;
    app.expect_no_mail_to(&ada.email).await;
    for _ in 0..2 {
        ada.using(app.client()).register().await.assert_status(201);
    }
    app.mail_to(&ada.email).await;
    app.expect_no_mail_to(&ada.email).await;
    // Another purpose has a budget of its own.
    ada.client.post("/auth/request-password-reset", json!({ "email": ada.email })).await.assert_status(202);
    app.mail_to(&ada.email).await;
    app.advance(10);
    ada.register().await.assert_status(201);
    let code = app.mail_to(&ada.email).await.code();
    ada.verify(&code).await.assert_status(200);
}

async fn codes_survive_a_restart(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let app = app.restarted(&[]).await;
    ada.using(app.client()).verify(&code).await.assert_status(200);
    app.stop().await;
}

async fn no_code_rests_readable(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let kept = app.stored_codes().await;
    assert_eq!(kept.len(), 1, "it is kept where this looks: {kept:?}");
    assert!(!kept[0].contains(&code) && !kept[0].contains(&ada.email), "{kept:?}");
    eventually("what was sent to be forgotten", async || (app.row_count("mail_intents").await == 0).then_some(()))
        .await;
}
