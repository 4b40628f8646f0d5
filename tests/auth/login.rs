//! `POST /auth/login`

use serde_json::json;

use crate::harness::{Claims, Person, Response, TestApp, concurrently, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    logging_in_gives_tokens_and_the_user,
    an_unknown_address_and_a_wrong_password_get_the_same_response,
    an_unverified_user_learns_it_only_with_the_right_password,
    a_login_of_an_unverified_user_mails_a_new_code,
    a_suspended_user_cannot_log_in,
    a_deactivated_user_cannot_log_in,
    every_invalid_field_of_a_login_is_named,
    the_access_token_holds_the_claims_that_clients_and_other_services_read,
    the_refresh_token_holds_only_five_claims,
    the_access_token_names_the_configured_audience with [("JWT_AUDIENCE", "faceofmind-services")],
    a_login_from_a_new_device_is_mailed,
    a_login_from_a_new_network_is_mailed_whatever_the_device_calls_itself,
    a_device_whose_login_was_ended_is_new_again,
    a_hash_with_outdated_parameters_is_renewed_at_login,
    many_logins_at_once_succeed,
    a_password_is_the_same_however_its_accents_are_typed,
}

async fn logging_in_gives_tokens_and_the_user(app: &TestApp) {
    let ada = app.verified("ada").await;
    let response = ada.log_in().await;
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
    let me = ada.get("/auth/me").await;
    snapshot!(me, @r#"
    200 {
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
    "#);
    assert!(me.text_of("created_at").parse::<jiff::Timestamp>().is_ok(), "RFC 3339 with an offset");
}

/// Systems differ in whether they send an accent as part of a character or after it (NIST SP 800-63B).
async fn a_password_is_the_same_however_its_accents_are_typed(app: &TestApp) {
    let (composed, decomposed) = ("Die l\u{e4}rche im Sp\u{e4}therbst", "Die la\u{308}rche im Spa\u{308}therbst");
    for (registered, typed) in [(composed, decomposed), (decomposed, composed)] {
        let mut ada = app.person("ada");
        ada.password = registered.to_owned();
        ada.register().await.assert_status(201);
        let code = app.mail_to(&ada.email).await.code();
        ada.verify(&code).await.assert_status(200);
        ada.log_in_with(typed).await.assert_status(200);
        ada.log_in_with("Die larche im Spatherbst").await.assert_status(401);
    }
}

async fn an_unknown_address_and_a_wrong_password_get_the_same_response(app: &TestApp) {
    let (ada, stranger) = (app.verified("ada").await, app.person("stranger"));
    let (wrong, unknown) = (ada.log_in_with("not the password").await, stranger.log_in().await);
    assert_eq!(wrong.redacted(), unknown.redacted());
    snapshot!(wrong, @r#"
    401 {
      "detail": "Incorrect email or password",
      "request_id": "[request id]",
      "status": 401,
      "title": "Unauthorized",
      "type": "/problems/bad-credentials"
    }
    "#);
    for typed in ["", "x", &"ñ".repeat(1000)] {
        assert_eq!(ada.log_in_with(typed).await.status, 401, "{typed}");
    }
}

async fn an_unverified_user_learns_it_only_with_the_right_password(app: &TestApp) {
    let ada = app.register("ada").await;
    app.mail_to(&ada.email).await;
    ada.log_in_with("not the password").await.assert_status(401);
    app.expect_no_mail_to(&ada.email).await;
    let inactive = ada.log_in().await;
    snapshot!(inactive, @r#"
    400 {
      "detail": "Account is not active. Please verify your email.",
      "request_id": "[request id]",
      "status": 400,
      "title": "Bad Request",
      "type": "/problems/account-inactive"
    }
    "#);
}

async fn a_login_of_an_unverified_user_mails_a_new_code(app: &TestApp) {
    let ada = app.register("ada").await;
    app.mail_to(&ada.email).await;
    ada.log_in().await.assert_status(400);
    let fresh = app.mail_to(&ada.email).await.code();
    // The quota allows two mails for one client.
    ada.log_in().await.assert_status(400);
    app.expect_no_mail_to(&ada.email).await;
    ada.verify(&fresh).await.assert_status(200);
    ada.log_in().await.assert_status(200);
}

async fn a_suspended_user_cannot_log_in(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.verified("ada").await);
    admin.patch(&format!("/users/{}/suspend", ada.id)).await.assert_status(200);
    assert_cannot_log_in(&ada).await;
}

async fn a_deactivated_user_cannot_log_in(app: &TestApp) {
    let ada = app.verified("ada").await;
    ada.patch(&format!("/users/{}/deactivate", ada.id)).await.assert_status(200);
    assert_cannot_log_in(&ada).await;
}

async fn assert_cannot_log_in(person: &Person) {
    person.log_in_with("not the password").await.assert_status(401);
    person.log_in().await.assert_status(403);
    person.refresh().await.assert_status(401);
    assert!(!person.is_logged_in().await);
}

async fn every_invalid_field_of_a_login_is_named(app: &TestApp) {
    let client = app.client();
    for body in [json!({}), json!({ "email": [], "password": 7 }), json!({ "email": "\0", "password": "\0" })] {
        let response = client.post("/auth/login", body.clone()).await.assert_status(422);
        assert_eq!(response.invalid_fields(), ["body.email", "body.password"], "{body}");
    }
}

async fn the_access_token_holds_the_claims_that_clients_and_other_services_read(app: &TestApp) {
    let ada = app.verified("ada").await;
    let Claims { header, payload } = Claims::of(&ada.access);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("HS256"), &json!("JWT")));
    assert!(header["kid"].as_str().is_some_and(|kid| !kid.is_empty()), "{header}");
    assert_eq!(payload["sub"], ada.id.to_string(), "a string of digits");
    assert_eq!((&payload["email"], &payload["role"]), (&json!(ada.email), &json!("user")));
    assert_eq!((&payload["iss"], &payload["gen"]), (&json!("faceofmind"), &json!(1)));
    assert!(payload["typ"].is_string() && payload["jti"].is_string() && payload["sid"].is_number(), "{payload}");
    let (issued, expires) = (payload["iat"].as_i64().expect("whole"), payload["exp"].as_i64().expect("whole"));
    assert_eq!(expires - issued, 1800);
    assert!(payload.get("aud").is_none(), "other services refuse an audience that they do not expect");
    let again = ada.log_in_again().await;
    assert_ne!(Claims::of(&again.access).payload["jti"], payload["jti"]);
    assert_ne!(Claims::of(&again.access).payload["sid"], payload["sid"]);
}

async fn the_refresh_token_holds_only_five_claims(app: &TestApp) {
    let ada = app.verified("ada").await;
    let Claims { payload, .. } = Claims::of(&ada.refresh);
    let mut claims: Vec<_> = payload.as_object().expect("claims").keys().cloned().collect();
    claims.sort_unstable();
    assert_eq!(claims, ["exp", "gen", "iat", "sid", "typ"]);
    let (issued, expires) = (payload["iat"].as_i64().expect("whole"), payload["exp"].as_i64().expect("whole"));
    assert_eq!(expires - issued, 30 * 24 * 3600);
}

async fn the_access_token_names_the_configured_audience(app: &TestApp) {
    let ada = app.verified("ada").await;
    assert_eq!(Claims::of(&ada.access).payload["aud"], "faceofmind-services");
    assert!(ada.is_logged_in().await);
}

async fn a_login_from_a_new_device_is_mailed(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.expect_no_mail_to(&ada.email).await;
    ada.log_in().await.assert_status(200);
    app.expect_no_mail_to(&ada.email).await;
    let body = json!({ "email": ada.email, "password": ada.password });
    let elsewhere = app.client();
    let call = elsewhere.api(reqwest::Method::POST, "/auth/login").header("user-agent", "A stolen phone").json(&body);
    call.send().await.assert_status(200);
    let mail = app.mail_to(&ada.email).await;
    assert!(mail.text.contains("A stolen phone") && mail.text.contains(&elsewhere.ip), "{}", mail.text);
    assert!(mail.has_no_code(), "{}", mail.text);
}

/// Any client can send the `User-Agent` of the owner's device.
async fn a_login_from_a_new_network_is_mailed_whatever_the_device_calls_itself(app: &TestApp) {
    let ada = app.verified("ada").await;
    let elsewhere = ada.using(app.client());
    elsewhere.log_in().await.assert_status(200);
    let mail = app.mail_to(&ada.email).await;
    assert!(mail.text.contains(&elsewhere.client.ip), "{}", mail.text);
    for known in [&ada, &elsewhere] {
        known.log_in().await.assert_status(200);
    }
    app.expect_no_mail_to(&ada.email).await;
}

/// An intruder whose login was ended keeps the cookie. The next login with it is mailed all the same.
async fn a_device_whose_login_was_ended_is_new_again(app: &TestApp) {
    let ada = app.verified("ada").await;
    let log_in = async |cookie: &str| {
        let body = json!({ "email": ada.email, "password": ada.password });
        let call = app.client().api(reqwest::Method::POST, "/auth/login").header("cookie", cookie).json(&body);
        call.send().await.assert_status(200)
    };
    let cookie_of = |login: &Response| login.header("set-cookie").split(';').next().expect("a pair").to_owned();
    let intruder = log_in("").await;
    app.mail_to(&ada.email).await;
    log_in(&cookie_of(&intruder)).await;
    app.expect_no_mail_to(&ada.email).await;
    ada.post("/auth/logout-all", json!({})).await.assert_status(200);
    log_in(&cookie_of(&intruder)).await;
    app.mail_to(&ada.email).await;
}

async fn a_hash_with_outdated_parameters_is_renewed_at_login(app: &TestApp) {
    let ada = app.verified("ada").await;
    let hash = async |app: &TestApp| app.texts("SELECT password FROM users").await.remove(0);
    let old = hash(app).await;
    assert!(old.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{old}");
    let app = app.restarted(&[("ARGON2_MEMORY_KIB", "128"), ("ARGON2_ITERATIONS", "2")]).await;
    let ada = ada.using(app.client());
    ada.log_in_with("not the password").await.assert_status(401);
    assert_eq!(hash(&app).await, old);
    let logged_in = ada.log_in_again().await;
    let new = hash(&app).await;
    assert!(new.starts_with("$argon2id$v=19$m=128,t=2,p=1$"), "{new}");
    assert!(logged_in.is_logged_in().await, "a renewed hash ends no login");
    ada.log_in().await.assert_status(200);
    assert_eq!(hash(&app).await, new);
    app.stop().await;
}

async fn many_logins_at_once_succeed(app: &TestApp) {
    let ada = app.verified("ada").await;
    let calls = (0..40).map(|_| {
        let ada = ada.using(app.client());
        async move { ada.log_in_again().await.is_logged_in().await }
    });
    assert!(concurrently(calls).await.into_iter().all(|good| good));
    assert_eq!(app.row_count("logins").await, 41);
}
