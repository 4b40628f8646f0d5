//! The limits of failed logins. A stranger cannot lock an owner out.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Person, Response, TestApp, concurrently, tests_on_both_profiles};

tests_on_both_profiles! {
    a_login_after_ten_failures_from_one_client_is_refused,
    right_passwords_are_not_counted,
    concurrent_guesses_are_counted,
    a_stranger_cannot_lock_the_owner_out with [("LIMIT_FAILED_LOGINS_PER_DAY_BY_STRANGERS", "4")],
    an_owner_at_another_address_of_their_network_is_not_locked_out with [("LIMIT_FAILED_LOGINS_PER_DAY_BY_STRANGERS", "4")],
    unknown_accounts_have_the_same_limit,
    calls_without_a_token_are_limited_by_client_address with [("LIMIT_AUTH_CALLS_PER_MINUTE", "5")],
    refresh_tokens_are_not_counted with [("LIMIT_AUTH_CALLS_PER_MINUTE", "8")],
    a_known_device_is_barred_neither_by_strangers_nor_by_its_network with [
        ("LIMIT_FAILED_LOGINS_PER_DAY_BY_STRANGERS", "4"), ("LIMIT_AUTH_CALLS_PER_MINUTE", "9")
    ],
    a_device_token_of_another_account_or_signature_is_no_known_device with [("LIMIT_FAILED_LOGINS_PER_DAY_BY_STRANGERS", "4")],
    strangers_do_not_bar_a_signed_in_user_from_changing_the_password with [("LIMIT_FAILED_LOGINS_PER_DAY_BY_STRANGERS", "4")],
    a_proven_mailbox_opens_a_network_that_others_have_barred with [("LIMIT_FAILED_LOGINS_PER_DAY_BY_STRANGERS", "4")],
    a_newcomer_logs_in_although_strangers_have_guessed with [("LIMIT_FAILED_LOGINS_PER_DAY_BY_STRANGERS", "4")],
    limits_can_be_disabled_for_load_tests with [
        ("RATE_LIMITS", "off"),
        ("LIMIT_AUTH_CALLS_PER_MINUTE", "5"),
        ("LIMIT_REGISTRATIONS_PER_HOUR", "1"),
        ("LIMIT_FAILED_LOGINS_PER_10_MINUTES", "1"),
    ],
    limits_are_shared_by_all_nodes,
}

async fn a_login_after_ten_failures_from_one_client_is_refused(app: &TestApp) {
    let ada = app.verified("ada").await;
    for _ in 0..10 {
        ada.log_in_with("not the password").await.assert_status(401);
    }
    let refused = ada.log_in().await.assert_status(429);
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=600).contains(&seconds), "{seconds}");
    assert!(ada.is_logged_in().await, "existing logins stay");
    ada.using(app.client()).log_in().await.assert_status(200);
    let bob = app.verified("bob").await.using(ada.client.clone());
    bob.log_in().await.assert_status(200);
    app.advance_seconds(seconds + 1);
    ada.log_in().await.assert_status(200);
}

async fn right_passwords_are_not_counted(app: &TestApp) {
    let ada = app.verified("ada").await;
    for _ in 0..9 {
        ada.log_in_with("not the password").await.assert_status(401);
        ada.log_in().await.assert_status(200);
    }
    ada.log_in_with("not the password").await.assert_status(401);
    ada.log_in().await.assert_status(429);
}

async fn concurrent_guesses_are_counted(app: &TestApp) {
    let ada = app.verified("ada").await;
    let calls = (0..30).map(|_| {
        let ada = ada.clone();
        async move { ada.log_in_with("not the password").await.status }
    });
    let statuses = concurrently(calls).await;
    let refused = statuses.iter().filter(|status| **status == 401).count();
    let limited = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!((refused, limited), (10, 20), "{statuses:?}");
}

async fn a_stranger_cannot_lock_the_owner_out(app: &TestApp) {
    let ada = app.verified("ada").await;
    for _ in 0..4 {
        ada.using(app.client()).log_in_with("not the password").await.assert_status(401);
    }
    ada.using(app.client()).log_in().await.assert_status(429);
    ada.log_in().await.assert_status(200);
    app.advance(24 * 60 + 1);
    ada.using(app.client()).log_in().await.assert_status(200);
}

/// The subscriber of an IPv6 network can use every address of it.
async fn an_owner_at_another_address_of_their_network_is_not_locked_out(app: &TestApp) {
    let ada = app.verified("ada").await.using(app.client_from("2001:db8:1:2::7"));
    ada.log_in().await.assert_status(200);
    for _ in 0..4 {
        ada.using(app.client()).log_in_with("not the password").await.assert_status(401);
    }
    ada.using(app.client_from("2001:db8:1:3::7")).log_in().await.assert_status(429);
    ada.using(app.client_from("2001:db8:1:2:a:b:c:d")).log_in().await.assert_status(200);
}

async fn unknown_accounts_have_the_same_limit(app: &TestApp) {
    let stranger = app.person("stranger");
    for _ in 0..10 {
        stranger.log_in().await.assert_status(401);
    }
    stranger.log_in().await.assert_status(429);
}

async fn calls_without_a_token_are_limited_by_client_address(app: &TestApp) {
    let client = app.client();
    let login = || json!({ "email": "a@b.org", "password": "12345678" });
    for _ in 0..5 {
        client.post("/auth/login", login()).await.assert_status(401);
    }
    for (path, body) in [
        ("/auth/login", login()),
        ("/auth/request-password-reset", json!({ "email": "a@b.org" })),
        ("/auth/register", app.person("ada").registration()),
    ] {
        client.post(path, body).await.assert_status(429);
    }
    assert_eq!(app.row_count("users").await, 0);
    app.client().post("/auth/login", login()).await.assert_status(401);
    app.advance_seconds(61);
    client.post("/auth/login", login()).await.assert_status(401);
}

/// Another client behind the same address translator sends junk. No client can guess a token, so nothing needs to be counted.
async fn refresh_tokens_are_not_counted(app: &TestApp) {
    let ada = app.verified("ada").await;
    for _ in 0..20 {
        ada.client.post("/auth/refresh", json!({ "refresh_token": "junk" })).await.assert_status(401);
    }
    ada.log_in().await.assert_status(200);
    for _ in 0..5 {
        ada.client.post("/auth/login", json!({ "email": "a@b.org", "password": "12345678" })).await;
    }
    ada.log_in().await.assert_status(429);
    ada.refresh().await.assert_status(200);
}

/// The cookie of an earlier login, as a browser sends it again.
fn cookie_of(login: &Response) -> String {
    let cookie = login.header("set-cookie");
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"), "{cookie}");
    cookie.split(';').next().expect("a pair").to_owned()
}

async fn log_in_with_cookie(person: &Person, cookie: &str, password: &str) -> Response {
    let body = json!({ "email": person.email, "password": password });
    person.client.api(Method::POST, "/auth/login").header("cookie", cookie).json(&body).send().await
}

async fn a_known_device_is_barred_neither_by_strangers_nor_by_its_network(app: &TestApp) {
    let ada = app.verified("ada").await;
    let cookie = cookie_of(&ada.log_in().await.assert_status(200));
    let travelling = ada.using(app.client());
    for _ in 0..4 {
        ada.using(app.client()).log_in_with("not the password").await.assert_status(401);
    }
    for _ in 0..10 {
        travelling.client.post("/auth/login", json!({ "email": "a@b.org", "password": "12345678" })).await;
    }
    travelling.log_in().await.assert_status(429);
    log_in_with_cookie(&travelling, &cookie, &ada.password).await.assert_status(200);
    app.expect_no_mail_to(&ada.email).await;
    // It has a bound of its own.
    for _ in 0..4 {
        log_in_with_cookie(&travelling, &cookie, "not the password").await.assert_status(401);
    }
    log_in_with_cookie(&travelling, &cookie, &ada.password).await.assert_status(429);
}

async fn a_device_token_of_another_account_or_signature_is_no_known_device(app: &TestApp) {
    let (ada, eve) = (app.verified("ada").await, app.verified("eve").await);
    let eves = cookie_of(&eve.log_in().await.assert_status(200));
    let token = eves.split_once('=').expect("a pair").1;
    let (signed, _) = token.rsplit_once('.').expect("a signature");
    let forged = format!("faceofmind_device={signed}.c2lnbmF0dXJl");
    let refresh = format!("faceofmind_device={}", eve.refresh);
    for _ in 0..4 {
        log_in_with_cookie(&ada.using(app.client()), &eves, "not the password").await.assert_status(401);
    }
    for cookie in [&eves, &forged, &refresh] {
        log_in_with_cookie(&ada.using(app.client()), cookie, &ada.password).await.assert_status(429);
    }
    ada.log_in().await.assert_status(200);
}

/// A signed-in device proves itself by its access token.
async fn strangers_do_not_bar_a_signed_in_user_from_changing_the_password(app: &TestApp) {
    let ada = app.verified("ada").await;
    for _ in 0..4 {
        ada.using(app.client()).log_in_with("not the password").await.assert_status(401);
    }
    let travelling = ada.using(app.client());
    travelling.log_in().await.assert_status(429);
    let change = json!({ "current_password": ada.password, "new_password": "a new and longer word" });
    travelling.post("/auth/change-password", change).await.assert_status(200);
}

/// Another client in the owner's network guesses. What the owner proves by the mailbox opens the network again.
async fn a_proven_mailbox_opens_a_network_that_others_have_barred(app: &TestApp) {
    let ada = app.verified("ada").await;
    for owner in [ada.clone(), ada.using(app.client())] {
        for _ in 0..4 {
            owner.log_in_with("not the password").await.assert_status(401);
        }
        owner.log_in().await.assert_status(429);
        owner.request_password_reset().await.assert_status(202);
        let code = app.mail_to(&ada.email).await.code();
        owner.reset_password(&code, "a new and longer word").await.assert_status(200);
        app.mail_to(&ada.email).await;
        owner.log_in_with("a new and longer word").await.assert_status(200);
        app.advance(10);
    }
}

/// Strangers can guess before the owner has logged in for the first time.
async fn a_newcomer_logs_in_although_strangers_have_guessed(app: &TestApp) {
    let ada = app.register("ada").await;
    let code = app.mail_to(&ada.email).await.code();
    for _ in 0..4 {
        ada.using(app.client()).log_in_with("not the password").await.assert_status(401);
    }
    ada.log_in().await.assert_status(429);
    ada.verify(&code).await.assert_status(200);
    ada.log_in().await.assert_status(200);
}

async fn limits_can_be_disabled_for_load_tests(app: &TestApp) {
    let ada = app.verified("ada").await;
    for _ in 0..6 {
        ada.log_in_with("not the password").await.assert_status(401);
    }
    ada.log_in().await.assert_status(200);
    app.person("bob").using(ada.client.clone()).register().await.assert_status(201);
}

async fn limits_are_shared_by_all_nodes(app: &TestApp) {
    let ada = app.verified("ada").await;
    for _ in 0..10 {
        ada.log_in_with("not the password").await.assert_status(401);
    }
    let (at_another, node) = if app.is_embedded() {
        let node = app.restarted(&[]).await;
        (ada.using(node.client_from(&ada.client.ip)), node)
    } else {
        let node = app.another_node(&[]).await;
        (ada.using(node.client_from(&ada.client.ip)), node)
    };
    at_another.log_in().await.assert_status(429);
    node.stop().await;
}
