//! The limits of failed logins. A stranger cannot lock an owner out.

use serde_json::json;

use crate::harness::{TestApp, concurrently, tests_on_both_profiles};

tests_on_both_profiles! {
    a_login_after_ten_failures_from_one_client_is_refused,
    right_passwords_are_not_counted,
    concurrent_guesses_are_counted,
    a_stranger_cannot_lock_the_owner_out with [("LIMIT_FAILED_LOGINS_PER_DAY_BY_STRANGERS", "4")],
    an_owner_at_another_address_of_their_network_is_not_locked_out with [("LIMIT_FAILED_LOGINS_PER_DAY_BY_STRANGERS", "4")],
    unknown_accounts_have_the_same_limit,
    calls_without_a_token_are_limited_by_client_address with [("LIMIT_AUTH_CALLS_PER_MINUTE", "5")],
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
    for _ in 0..5 {
        client.post("/auth/refresh", json!({ "refresh_token": "none" })).await.assert_status(401);
    }
    for (path, body) in [
        ("/auth/refresh", json!({ "refresh_token": "none" })),
        ("/auth/login", json!({ "email": "a@b.org", "password": "12345678" })),
        ("/auth/request-password-reset", json!({ "email": "a@b.org" })),
        ("/auth/register", app.person("ada").registration()),
    ] {
        client.post(path, body).await.assert_status(429);
    }
    assert_eq!(app.row_count("users").await, 0);
    app.client().post("/auth/refresh", json!({ "refresh_token": "none" })).await.assert_status(401);
    app.advance_seconds(61);
    client.post("/auth/refresh", json!({ "refresh_token": "none" })).await.assert_status(401);
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
