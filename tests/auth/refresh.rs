//! `POST /auth/refresh`: a lost response or two tabs do not end a login, and a login never has two successors.

use serde_json::json;

use crate::harness::{Claims, Person, Response, TestApp, concurrently, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    refreshing_replaces_both_tokens,
    twenty_parallel_refreshes_all_get_the_same_successor,
    a_lost_response_can_be_requested_again_at_any_time,
    two_tabs_within_the_grace_period_get_the_same_successor,
    a_replay_after_the_successor_was_used_ends_the_login,
    a_replay_after_the_successor_was_refreshed_ends_the_login,
    a_token_of_two_generations_ago_ends_the_login_even_within_the_grace_period,
    without_a_grace_period_a_used_successor_is_final with [("REFRESH_REUSE_GRACE_SECONDS", "0")],
    a_replay_ends_only_the_login_that_it_belongs_to,
    access_tokens_of_earlier_generations_are_valid_until_they_expire,
    thirty_days_count_from_the_last_rotation,
    a_successor_is_the_same_after_a_restart,
    anything_but_a_valid_refresh_token_is_refused,
    a_refresh_returns_the_current_role_and_name,
    every_invalid_field_of_a_refresh_is_named,
}

async fn refreshing_replaces_both_tokens(app: &TestApp) {
    let ada = app.verified("ada").await;
    let response = ada.refresh().await;
    snapshot!(response, @r#"
    200 {
      "access_token": "[token]",
      "created_at": "[time]",
      "email": "[email]",
      "expires_in": 1800,
      "first_name": "Ada",
      "id": "[id]",
      "last_name": "Lovelace",
      "refresh_token": "[token]",
      "role": "user",
      "status": "active",
      "token_type": "bearer"
    }
    "#);
    let next = ada.with_tokens(&response);
    assert_ne!((&next.access, &next.refresh), (&ada.access, &ada.refresh));
    let (old, new) = (Claims::of(&ada.refresh).payload, Claims::of(&next.refresh).payload);
    assert_eq!((&old["sid"], &old["gen"], &new["gen"]), (&new["sid"], &json!(1), &json!(2)));
    assert!(next.is_logged_in().await);
    assert_eq!(app.row_count("logins").await, 1);
}

async fn twenty_parallel_refreshes_all_get_the_same_successor(app: &TestApp) {
    let mut ada = app.verified("ada").await;
    for _ in 0..3 {
        let calls = (0..20).map(|_| {
            let ada = ada.using(app.client());
            async move { ada.refresh().await.assert_status(200).text_of("refresh_token") }
        });
        let successors = concurrently(calls).await;
        assert!(successors.iter().all(|one| *one == successors[0]), "{successors:?}");
        ada.refresh.clone_from(&successors[0]);
    }
    assert_eq!(app.texts("SELECT cast(generation as text) FROM logins").await, ["4"]);
    assert!(ada.with_tokens(&ada.refresh().await.assert_status(200)).is_logged_in().await);
}

/// A response that does not reach the client.
async fn lost_response(person: &Person) -> Response {
    person.refresh().await.assert_status(200)
}

async fn a_lost_response_can_be_requested_again_at_any_time(app: &TestApp) {
    let ada = app.verified("ada").await;
    let first = lost_response(&ada).await;
    app.advance(3 * 24 * 60);
    let again = ada.refresh().await.assert_status(200);
    assert_eq!(again.json["refresh_token"], first.json["refresh_token"], "the same successor");
    let ada = ada.with_tokens(&again);
    assert!(ada.is_logged_in().await);
    ada.refresh().await.assert_status(200);
}

async fn two_tabs_within_the_grace_period_get_the_same_successor(app: &TestApp) {
    let tab = app.verified("ada").await;
    let one = tab.with_tokens(&tab.refresh().await.assert_status(200));
    assert!(one.is_logged_in().await, "the successor is used");
    app.advance_seconds(5);
    let other = tab.with_tokens(&tab.refresh().await.assert_status(200));
    assert_eq!(one.refresh, other.refresh);
    assert!(one.is_logged_in().await && other.is_logged_in().await);
}

async fn a_replay_after_the_successor_was_used_ends_the_login(app: &TestApp) {
    let thief = app.verified("ada").await;
    let ada = thief.with_tokens(&thief.refresh().await.assert_status(200));
    assert!(ada.is_logged_in().await);
    app.advance_seconds(11);
    let refused = thief.refresh().await;
    snapshot!(refused, @r#"
    401 {
      "detail": "Invalid refresh token",
      "request_id": "[request id]",
      "status": 401,
      "title": "Unauthorized",
      "type": "/problems/refresh-token-invalid"
    }
    "#);
    assert_ended(&ada).await;
    assert_ended(&thief).await;
}

/// Asserts that neither token of the login is accepted.
async fn assert_ended(person: &Person) {
    assert!(!person.is_logged_in().await);
    person.refresh().await.assert_status(401);
}

async fn a_replay_after_the_successor_was_refreshed_ends_the_login(app: &TestApp) {
    let thief = app.verified("ada").await;
    let ada = thief.with_tokens(&thief.refresh().await.assert_status(200));
    let ada = ada.with_tokens(&ada.refresh().await.assert_status(200));
    app.advance_seconds(11);
    thief.refresh().await.assert_status(401);
    assert_ended(&ada).await;
}

async fn a_token_of_two_generations_ago_ends_the_login_even_within_the_grace_period(app: &TestApp) {
    let first = app.verified("ada").await;
    let second = first.with_tokens(&first.refresh().await.assert_status(200));
    let third = second.with_tokens(&second.refresh().await.assert_status(200));
    assert!(third.is_logged_in().await);
    first.refresh().await.assert_status(401);
    assert_ended(&third).await;
    assert_ended(&second).await;
}

async fn without_a_grace_period_a_used_successor_is_final(app: &TestApp) {
    let ada = app.verified("ada").await;
    let next = ada.with_tokens(&ada.refresh().await.assert_status(200));
    assert_eq!(ada.refresh().await.assert_status(200).json["refresh_token"], next.refresh, "not used yet");
    assert!(next.is_logged_in().await);
    app.advance_seconds(1);
    ada.refresh().await.assert_status(401);
    assert_ended(&next).await;
}

async fn a_replay_ends_only_the_login_that_it_belongs_to(app: &TestApp) {
    let phone = app.verified("ada").await;
    let laptop = phone.log_in_again().await;
    let next = phone.with_tokens(&phone.refresh().await.assert_status(200));
    assert!(next.is_logged_in().await);
    app.advance_seconds(11);
    phone.refresh().await.assert_status(401);
    assert_ended(&next).await;
    assert!(laptop.is_logged_in().await);
    laptop.refresh().await.assert_status(200);
}

async fn access_tokens_of_earlier_generations_are_valid_until_they_expire(app: &TestApp) {
    let first = app.verified("ada").await;
    let second = first.with_tokens(&first.refresh().await.assert_status(200));
    let third = second.with_tokens(&second.refresh().await.assert_status(200));
    assert!(third.is_logged_in().await && second.is_logged_in().await && first.is_logged_in().await);
    app.advance(31);
    assert!(!first.is_logged_in().await);
}

async fn thirty_days_count_from_the_last_rotation(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.advance(29 * 24 * 60);
    let ada = ada.with_tokens(&ada.refresh().await.assert_status(200));
    app.advance(29 * 24 * 60);
    let ada = ada.with_tokens(&ada.refresh().await.assert_status(200));
    app.advance(30 * 24 * 60 + 1);
    ada.refresh().await.assert_status(401);
}

async fn a_successor_is_the_same_after_a_restart(app: &TestApp) {
    let ada = app.verified("ada").await;
    let first = lost_response(&ada).await;
    let app = app.restarted(&[]).await;
    let again = ada.using(app.client()).refresh().await.assert_status(200);
    assert_eq!(again.json["refresh_token"], first.json["refresh_token"]);
    app.stop().await;
}

async fn anything_but_a_valid_refresh_token_is_refused(app: &TestApp) {
    let ada = app.verified("ada").await;
    let claims = Claims::of(&ada.refresh);
    for token in [
        String::new(),
        "rubbish".to_owned(),
        ada.access.clone(),
        claims.unsigned(),
        claims.signed_by("a secret of another service, 32 bytes or more"),
        claims.resigned_with("gen", 2),
        format!("{}x", ada.refresh),
    ] {
        let refused = Person { refresh: token.clone(), ..ada.clone() }.refresh().await;
        assert_eq!((refused.status, refused.detail()), (401, "Invalid refresh token"), "{token}");
    }
    ada.refresh().await.assert_status(200);
}

async fn a_refresh_returns_the_current_role_and_name(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.verified("ada").await);
    let change = json!({ "role": "professional", "first_name": "Augusta" });
    admin.put(&format!("/users/{}", ada.id), change).await.assert_status(200);
    let response = ada.refresh().await.assert_status(200);
    assert_eq!((&response.json["role"], &response.json["first_name"]), (&json!("professional"), &json!("Augusta")));
    assert_eq!(Claims::of(&response.text_of("access_token")).payload["role"], "professional");
}

async fn every_invalid_field_of_a_refresh_is_named(app: &TestApp) {
    for body in [json!({}), json!({ "refresh_token": 7 }), json!({ "refresh_token": "\0" })] {
        let response = app.client().post("/auth/refresh", body.clone()).await.assert_status(422);
        assert_eq!(response.invalid_fields(), ["body.refresh_token"], "{body}");
    }
}
