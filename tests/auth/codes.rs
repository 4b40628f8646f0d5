//! One-time codes: their lifetime, the limit of guesses, and how many are sent.

use reqwest::Method;
use serde_json::json;

use crate::{
    auth::wrong_code,
    harness::{Mail, TestApp, concurrently, eventually, tests_on_both_profiles},
};

tests_on_both_profiles! {
    a_code_is_accepted_within_five_minutes,
    a_code_expires_five_minutes_after_it_was_sent,
    a_code_is_accepted_once,
    a_code_sent_by_many_requests_at_once_is_accepted_once,
    five_wrong_guesses_revoke_a_code,
    concurrent_wrong_guesses_are_counted,
    right_codes_are_not_counted_as_guesses,
    a_wrong_guess_costs_every_live_code_of_the_address_an_attempt,
    a_verification_code_resets_no_password_and_a_reset_code_verifies_no_account,
    wrong_codes_from_one_client_address_are_limited with [("LIMIT_WRONG_CODES_PER_DAY_PER_CLIENT", "3")],
    wrong_codes_for_one_account_are_limited with [("LIMIT_WRONG_CODES_PER_DAY", "3")],
    at_most_three_codes_go_to_an_address_in_ten_minutes_and_two_by_one_client,
    when_guesses_are_spent_a_mail_brings_a_link_that_no_limit_bars with [
        ("LIMIT_WRONG_CODES_PER_DAY", "3"), ("LIMIT_AUTH_CALLS_PER_MINUTE", "9"), ("PUBLIC_URL", "https://api.example.org/")
    ],
    strangers_do_not_bar_a_user_from_moving_to_a_new_address with [("LIMIT_WRONG_CODES_PER_DAY", "3")],
    the_page_of_a_link_sends_nothing_before_its_button_is_pressed,
    codes_survive_a_restart,
    codes_are_stored_unreadable,
}

async fn a_code_is_accepted_within_five_minutes(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    app.advance_seconds(4 * 60 + 40);
    ada.verify(&code).await.assert_status(200);
}

async fn a_code_expires_five_minutes_after_it_was_sent(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    app.advance(5);
    assert_eq!(ada.verify(&code).await.assert_status(400).detail(), "Invalid or expired OTP");
}

async fn a_code_is_accepted_once(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    ada.verify(&code).await.assert_status(200);
    ada.verify(&code).await.assert_status(400);
}

async fn a_code_sent_by_many_requests_at_once_is_accepted_once(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let calls = (0..12).map(|_| {
        let (ada, code) = (ada.using(app.client()), code.clone());
        async move { ada.verify(&code).await.status }
    });
    let mut statuses = concurrently(calls).await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1]), (200, 400), "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 11, "{statuses:?}");
}

async fn five_wrong_guesses_revoke_a_code(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    for _ in 0..4 {
        ada.verify(&wrong_code(&code)).await.assert_status(400);
    }
    let bob = app.register("bob").await;
    let bobs = app.mail_to(&bob.email).await.code();
    ada.verify(&wrong_code(&code)).await.assert_status(400);
    ada.verify(&code).await.assert_status(400);
    for _ in 0..4 {
        bob.verify(&wrong_code(&bobs)).await.assert_status(400);
    }
    bob.verify(&bobs).await.assert_status(200);
}

async fn concurrent_wrong_guesses_are_counted(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let calls = (0..10).map(|_| {
        let (ada, guess) = (ada.using(app.client()), wrong_code(&code));
        async move { ada.verify(&guess).await.status }
    });
    assert_eq!(concurrently(calls).await, [400; 10]);
    ada.verify(&code).await.assert_status(400);
}

/// The app sends the reset code twice. Only wrong guesses count.
async fn right_codes_are_not_counted_as_guesses(app: &TestApp) {
    let ada = app.verified("ada").await;
    ada.request_password_reset().await.assert_status(202);
    let code = app.mail_to(&ada.email).await.code();
    for _ in 0..10 {
        ada.reset_password(&code, "dummyPassword123").await.assert_status(422);
    }
    ada.reset_password(&code, "a new and longer word").await.assert_status(200);
}

async fn a_wrong_guess_costs_every_live_code_of_the_address_an_attempt(app: &TestApp) {
    let ada = app.register("ada").await;
    let first = app.mail_to(&ada.email).await.code();
    ada.register().await.assert_status(201);
    let second = app.mail_to(&ada.email).await.code();
    let neither = [wrong_code(&first), wrong_code(&wrong_code(&first))]
        .into_iter()
        .find(|guess| *guess != second)
        .expect("one is");
    for _ in 0..5 {
        ada.verify(&neither).await.assert_status(400);
    }
    ada.verify(&first).await.assert_status(400);
    ada.verify(&second).await.assert_status(400);
}

async fn a_verification_code_resets_no_password_and_a_reset_code_verifies_no_account(app: &TestApp) {
    let ada = app.register("ada").await;
    let to_verify = app.mail_to(&ada.email).await.code();
    ada.request_password_reset().await.assert_status(202);
    let to_reset = app.mail_to(&ada.email).await.code();
    if to_verify != to_reset {
        ada.reset_password(&to_verify, "a new and longer word").await.assert_status(400);
        ada.verify(&to_reset).await.assert_status(400);
    }
    ada.verify(&to_verify).await.assert_status(200);
}

async fn wrong_codes_from_one_client_address_are_limited(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let guesser = ada.using(app.client());
    for _ in 0..3 {
        guesser.verify(&wrong_code(&code)).await.assert_status(400);
    }
    guesser.verify(&code).await.assert_status(429);
    ada.verify(&code).await.assert_status(200);
}

async fn wrong_codes_for_one_account_are_limited(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    for _ in 0..3 {
        ada.using(app.client()).verify(&wrong_code(&code)).await.assert_status(400);
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
        assert_eq!(ada.register().await.assert_status(201).redacted(), first.redacted(), "the response is the same");
    }
    app.mail_to(&ada.email).await;
    app.mail_to(&ada.email).await;
    app.expect_no_mail_to(&ada.email).await;
    for _ in 0..2 {
        ada.using(app.client()).register().await.assert_status(201);
    }
    app.mail_to(&ada.email).await;
    app.expect_no_mail_to(&ada.email).await;
    // Each purpose has its own quota.
    ada.request_password_reset().await.assert_status(202);
    app.mail_to(&ada.email).await;
    app.advance(10);
    ada.register().await.assert_status(201);
    let code = app.mail_to(&ada.email).await.code();
    ada.verify(&code).await.assert_status(200);
}

/// The token of the link in a mail, and the purpose that the link names.
fn link_in(mail: &Mail) -> (String, String) {
    let fragment = mail.text.lines().find_map(|line| line.trim().strip_prefix("https://api.example.org/mail-link#"));
    let parts: Vec<_> = fragment.unwrap_or_else(|| panic!("no link: {}", mail.text)).split('.').collect();
    (parts[0].to_owned(), parts[1].to_owned())
}

async fn when_guesses_are_spent_a_mail_brings_a_link_that_no_limit_bars(app: &TestApp) {
    let (newcomer, owner) = (app.register("ada").await, app.verified("bob").await);
    let first = app.mail_to(&newcomer.email).await;
    assert!(!first.text.contains("mail-link"), "{}", first.text);
    for person in [&newcomer, &owner] {
        for _ in 0..3 {
            let stranger = person.using(app.client());
            stranger.verify(&wrong_code(&first.code())).await.assert_status(400);
        }
    }
    // The owner is away from every network that the account knows.
    let owner = owner.using(app.client());
    newcomer.verify(&first.code()).await.assert_status(429);
    newcomer.register().await.assert_status(201);
    owner.request_password_reset().await.assert_status(202);
    let (mails, links) = {
        let mails = [app.mail_to(&newcomer.email).await, app.mail_to(&owner.email).await];
        let links = mails.each_ref().map(link_in);
        (mails, links)
    };
    assert_eq!([&*links[0].0, &links[1].0], ["verify", "reset"]);
    newcomer.verify(&mails[0].code()).await.assert_status(429);
    owner.reset_password(&mails[1].code(), "a new and longer word").await.assert_status(429);
    for person in [&newcomer, &owner] {
        for _ in 0..9 {
            person.client.post("/auth/login", json!({ "email": "a@b.org", "password": "12345678" })).await;
        }
        person.log_in().await.assert_status(429);
    }
    newcomer.verify(&links[0].1).await.assert_status(200);
    newcomer.verify(&links[0].1).await.assert_status(400);
    owner.reset_password(&links[1].1, "dummyPassword123").await.assert_status(422);
    owner.reset_password(&links[1].1, "a new and longer word").await.assert_status(200);
    app.advance(2);
    newcomer.log_in().await.assert_status(200);
    owner.log_in_with("a new and longer word").await.assert_status(200);
}

async fn strangers_do_not_bar_a_user_from_moving_to_a_new_address(app: &TestApp) {
    let (ada, new) = (app.verified("ada").await, app.person("new"));
    let change = json!({ "new_email": new.email, "current_password": ada.password });
    ada.post("/users/me/email", change).await.assert_status(202);
    let code = app.mail_to(&new.email).await.code();
    for _ in 0..3 {
        new.using(app.client()).verify(&wrong_code(&code)).await.assert_status(400);
    }
    new.using(app.client()).verify(&wrong_code(&code)).await.assert_status(429);
    ada.post("/users/me/email/confirm", json!({ "otp": code })).await.assert_status(200);
}

/// Programs that look for malware open the links of mails.
async fn the_page_of_a_link_sends_nothing_before_its_button_is_pressed(app: &TestApp) {
    let page = app.client().call(Method::GET, "/mail-link").send().await.assert_status(200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let sent = page.text.find("fetch(").expect("a call");
    assert!(page.text.find("onsubmit").is_some_and(|button| button < sent), "{}", page.text);
    for path in ["api/v1/auth/", "reset-password", "verify-otp"] {
        assert!(page.text.contains(path), "{path}");
    }
}

async fn codes_survive_a_restart(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let app = app.restarted(&[]).await;
    ada.using(app.client()).verify(&code).await.assert_status(200);
    app.stop().await;
}

async fn codes_are_stored_unreadable(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    let stored = app.stored_codes().await;
    assert_eq!(stored.len(), 1, "{stored:?}");
    assert!(!stored[0].contains(&code) && !stored[0].contains(&ada.email), "{stored:?}");
    eventually("the sent mail leaves the queue", async || (app.row_count("mail_intents").await == 0).then_some(()))
        .await;
}
