//! Which bearer tokens are accepted.

use std::time::Duration;

use reqwest::Method;

use crate::harness::{Claims, TestApp, snapshot, tests_on_both_profiles};

const OTHER_ACCESS_SECRET: &str = "the other secret of the tests, for access tokens";

tests_on_both_profiles! {
    a_request_without_a_token_is_refused,
    an_authorization_header_without_a_token_is_refused,
    the_bearer_scheme_is_accepted_in_any_case,
    an_access_token_expires_after_half_an_hour,
    an_access_token_expires_after_the_configured_time with [("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "2")],
    forged_and_foreign_tokens_are_refused,
    a_token_issued_ahead_is_accepted_and_an_expired_one_is_not,
    a_clock_that_is_set_back_logs_nobody_out,
    tokens_signed_with_either_access_secret_are_accepted with [("JWT_ACCESS_TOKEN", super::OTHER_ACCESS_SECRET)],
    tokens_survive_a_restart,
    generated_secrets_survive_a_restart with [("JWT_SECRET_TOKEN", ""), ("JWT_REFRESH_TOKEN", ""), ("DATA_KEY", "")],
}

async fn a_request_without_a_token_is_refused(app: &TestApp) {
    let refused = app.client().get("/auth/me").await;
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    snapshot!(refused, @r#"
    401 {
      "detail": "Not authenticated",
      "request_id": "[request id]",
      "status": 401,
      "title": "Unauthorized",
      "type": "/problems/unauthorized"
    }
    "#);
}

async fn an_authorization_header_without_a_token_is_refused(app: &TestApp) {
    let ada = app.verified("ada").await;
    for header in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer null".to_owned(),
        ada.access.clone(),
        format!("Basic {}", ada.access),
        format!("Bearer {} {}", ada.access, ada.access),
        format!("Bearer {}", "x".repeat(10_000)),
    ] {
        let call = app.client().api(Method::GET, "/auth/me").header("authorization", &header);
        assert_eq!(call.send().await.status, 401, "{header}");
    }
}

async fn the_bearer_scheme_is_accepted_in_any_case(app: &TestApp) {
    let ada = app.verified("ada").await;
    for scheme in ["bearer", "BEARER", "Bearer"] {
        let call =
            app.client().api(Method::GET, "/auth/me").header("authorization", &format!("{scheme} {}", ada.access));
        call.send().await.assert_status(200);
    }
}

async fn an_access_token_expires_after_half_an_hour(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.advance(29);
    assert!(ada.is_logged_in().await);
    app.advance(1);
    assert!(!ada.is_logged_in().await);
    let ada = ada.with_tokens(&ada.refresh().await.assert_status(200));
    assert!(ada.is_logged_in().await);
}

async fn an_access_token_expires_after_the_configured_time(app: &TestApp) {
    let ada = app.verified("ada").await;
    assert_eq!(ada.log_in().await.json["expires_in"], 120);
    assert!(ada.is_logged_in().await);
    app.advance(2);
    assert!(!ada.is_logged_in().await);
}

async fn forged_and_foreign_tokens_are_refused(app: &TestApp) {
    let (ada, admin) = (app.verified("ada").await, app.admin().await);
    let own = Claims::of(&ada.access);
    let mut flipped = ada.access.clone();
    let last = flipped.pop().expect("a signature");
    let half = flipped.len() / 2;
    flipped.replace_range(half..=half, if flipped.as_bytes()[half] == b'A' { "B" } else { "A" });
    flipped.push(last);
    for (what, token) in [
        ("a refresh token", ada.refresh.clone()),
        ("a changed token", flipped),
        ("another signature", own.signed_by("a secret of another service, 32 bytes or more")),
        ("no signature", own.unsigned()),
        ("a cut token", ada.access[..ada.access.len() - 1].to_owned()),
        ("another subject", own.resigned_with("sub", admin.id.to_string())),
        ("an unknown login", own.resigned_with("sid", 4_000_000)),
        ("another type", own.resigned_with("typ", "refresh")),
        ("another issuer", own.resigned_with("iss", "another")),
        ("a subject that is not a number", own.resigned_with("sub", "ada")),
        ("an expiry that is not a number", own.resigned_with("exp", "never")),
    ] {
        let response = app.client().with_token(&token).get("/auth/me").await;
        assert_eq!(response.status, 401, "{what}: {token}");
    }
    assert!(ada.is_logged_in().await);
}

/// The clocks of two nodes may differ, and a clock may be set back.
async fn a_token_issued_ahead_is_accepted_and_an_expired_one_is_not(app: &TestApp) {
    let ada = app.verified("ada").await;
    let claims = Claims::of(&ada.access);
    let now = app.env.clock.now().seconds();
    for (claim, value, good) in [
        ("iat", now + 50, true),
        ("iat", now + 75, true),
        ("iat", now + 130, true),
        ("iat", now + 3600, true),
        ("exp", now + 30, true),
        ("exp", now, false),
        ("exp", now - 1, false),
    ] {
        let token = claims.resigned_with(claim, value);
        let status = app.client().with_token(&token).get("/auth/me").await.status;
        assert_eq!(status, if good { 200 } else { 401 }, "{claim} {value}, now {now}");
    }
}

async fn a_clock_that_is_set_back_logs_nobody_out(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.env.clock.set_back(Duration::from_secs(3600));
    assert!(ada.is_logged_in().await);
    let refreshed = ada.with_tokens(&ada.refresh().await.assert_status(200));
    assert!(refreshed.is_logged_in().await);
    let app = app.restarted(&[]).await;
    let refreshed = refreshed.using(app.client());
    assert!(refreshed.is_logged_in().await);
    refreshed.refresh().await.assert_status(200);
    app.stop().await;
}

/// Access tokens are signed with `JWT_SECRET_TOKEN`, like those of the predecessor, and verified against both secrets.
async fn tokens_signed_with_either_access_secret_are_accepted(app: &TestApp) {
    let ada = app.verified("ada").await;
    let other = Claims::of(&ada.access).signed_by(OTHER_ACCESS_SECRET);
    assert_ne!(other, ada.access, "the first secret signs");
    app.client().with_token(&other).get("/auth/me").await.assert_status(200);
    assert!(ada.is_logged_in().await);
}

async fn tokens_survive_a_restart(app: &TestApp) {
    let ada = app.verified("ada").await;
    let app = app.restarted(&[]).await;
    let ada = ada.using(app.client());
    assert!(ada.is_logged_in().await);
    ada.refresh().await.assert_status(200);
    app.stop().await;
}

async fn generated_secrets_survive_a_restart(app: &TestApp) {
    tokens_survive_a_restart(app).await;
}
