//! `POST /auth/register`

use reqwest::Method;
use serde_json::json;

use crate::harness::{Response, TestApp, concurrently, eventually, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    a_registration_returns_an_echo_and_mails_a_code,
    the_predecessors_own_example_works_as_pasted,
    a_role_at_registration_is_ignored,
    an_address_is_accepted_in_any_case_and_with_spaces_around_it,
    registering_an_active_accounts_address_gets_the_same_response_and_mails_the_owner,
    known_and_unknown_addresses_cost_the_same_work,
    every_invalid_field_of_a_registration_is_named,
    names_passwords_and_addresses_have_length_limits,
    the_password_that_the_app_probes_with_is_refused,
    weak_passwords_are_refused_if_a_minimum_score_is_set with [("PASSWORD_MIN_SCORE", "2")],
    weak_passwords_are_rated_after_the_limit_and_count with [
        ("PASSWORD_MIN_SCORE", "2"), ("LIMIT_REGISTRATIONS_PER_HOUR", "3")
    ],
    registrations_from_one_client_address_are_limited with [("LIMIT_REGISTRATIONS_PER_HOUR", "3")],
    many_people_register_at_once,
    concurrent_registrations_of_one_address_make_one_account,
    accounts_never_verified_are_deleted_after_30_days,
}

async fn a_registration_returns_an_echo_and_mails_a_code(app: &TestApp) {
    let ada = app.person("ada");
    let response = ada.register().await;
    snapshot!(response, @r#"
    201 {
      "message": "User registered successfully. Please check your email for the code.",
      "user": {
        "email": "[email]",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "role": "user",
        "status": "inactive"
      }
    }
    "#);
    assert_eq!(response.json["user"]["email"], ada.email);
    let mail = app.mail_to(&ada.email).await;
    assert!(mail.text.contains("Ada Lovelace"), "{}", mail.text);
    assert_eq!(mail.code().len(), 6);
    app.events(&["user.registered"]).await;
    assert_eq!(app.texts("SELECT status FROM users").await, ["inactive"]);
}

async fn the_predecessors_own_example_works_as_pasted(app: &TestApp) {
    let client = app.client();
    let email = app.person("juan").email;
    let body = json!({
        "email": email, "password": "password123", "first_name": "Juan", "last_name": "Dela Cruz", "role": "user",
    });
    client.post("/auth/register", body).await.assert_status(201);
    let otp = app.mail_to(&email).await.code();
    client.post("/auth/verify-otp", json!({ "email": email, "otp": otp })).await.assert_status(200);
    let tokens =
        client.post("/auth/login", json!({ "email": email, "password": "password123" })).await.assert_status(200);
    let me = client.with_token(&tokens.text_of("access_token")).get("/auth/me").await.assert_status(200);
    assert_eq!(me.json["email"], email);
}

async fn a_role_at_registration_is_ignored(app: &TestApp) {
    let eve = app.person("eve");
    let mut body = eve.registration();
    body["role"] = "admin".into();
    body["status"] = "active".into();
    body["is_superuser"] = true.into();
    let response = eve.client.post("/auth/register", body).await.assert_status(201);
    assert_eq!(
        (&response.json["user"]["role"], &response.json["user"]["status"]),
        (&json!("user"), &json!("inactive"))
    );
    let code = app.mail_to(&eve.email).await.code();
    assert_eq!(eve.verify(&code).await.assert_status(200).json["user"]["role"], "user");
}

async fn an_address_is_accepted_in_any_case_and_with_spaces_around_it(app: &TestApp) {
    let ada = app.person("ada");
    let mut body = ada.registration();
    body["email"] = format!("  {} ", ada.email.to_uppercase()).into();
    let response = ada.client.post("/auth/register", body).await.assert_status(201);
    assert_eq!(response.json["user"]["email"], ada.email);
    let code = app.mail_to(&ada.email).await.code();
    let typed = json!({ "email": ada.email.to_uppercase(), "otp": code });
    ada.client.post("/auth/verify-otp", typed).await.assert_status(200);
    let typed = json!({ "email": format!(" {}", ada.email.replace("ada", "Ada")), "password": ada.password });
    ada.client.post("/auth/login", typed).await.assert_status(200);
    assert_eq!(app.row_count("users").await, 1);
}

async fn registering_an_active_accounts_address_gets_the_same_response_and_mails_the_owner(app: &TestApp) {
    let owner = app.verified("ada").await;
    let (mut stranger, mut newcomer) = (app.person("eve"), app.person("bob"));
    newcomer.first_name.clone_from(&stranger.first_name);
    stranger.email.clone_from(&owner.email);
    let (taken, free) = (stranger.register().await.assert_status(201), newcomer.register().await.assert_status(201));
    assert_eq!(taken.redacted(), free.redacted());
    let names = |response: &Response| response.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&taken), names(&free));

    let mail = app.mail_to(&owner.email).await;
    assert!(mail.has_no_code() && mail.text.contains("already have an account"), "{}", mail.text);
    assert!(!mail.text.contains(&stranger.first_name), "the mail to the owner does not contain the stranger's name");
    owner.log_in().await.assert_status(200);
    owner.log_in_with(&stranger.password).await.assert_status(400);
    assert_eq!(owner.get("/auth/me").await.assert_status(200).json["first_name"], owner.first_name);
    assert!(owner.is_logged_in().await);
}

async fn known_and_unknown_addresses_cost_the_same_work(app: &TestApp) {
    let owner = app.verified("ada").await;
    record_queued_mails(app).await;
    let mut costs = Vec::new();
    for email in [owner.email.clone(), app.person("bob").email] {
        let mut person = app.person("eve");
        person.email = email;
        let before = work(app).await;
        person.register().await.assert_status(201);
        let registered = work(app).await;
        person.request_password_reset().await.assert_status(202);
        let requested = work(app).await;
        person.log_in_with("not the password").await.assert_status(401);
        let refused = work(app).await;
        let cost = |from: [i64; 2], to: [i64; 2]| [to[0] - from[0], to[1] - from[1]];
        costs.push([cost(before, registered), cost(registered, requested), cost(requested, refused)]);
    }
    // A pending registration is compared with, too.
    let same = [[1, 1], [0, 1], [2, 0]];
    assert_eq!(costs, [same, same], "hashes and queued mails for register, request-password-reset and login");
}

/// The number of hashes that the hasher has started, and of mails ever queued. A hash is counted before its request is
/// answered.
pub(super) async fn work(app: &TestApp) -> [i64; 2] {
    let hasher = app.tree().child("hasher").expect("a hasher").status().await.expect("a status");
    let hashes = hasher["started"].as_i64().unwrap_or_else(|| panic!("no count of started hashes: {hasher}"));
    [hashes, app.row_count("ever_queued").await]
}

/// Records every queued mail in a table, since a mail leaves the queue when it is sent.
pub(super) async fn record_queued_mails(app: &TestApp) {
    app.execute("CREATE TABLE ever_queued (id text)").await;
    // The mailer, and no request, queues folded notices.
    let of_requests = "new.occasion NOT LIKE '{\"why\":\"folded_notices\",%'";
    let note = "INSERT INTO ever_queued VALUES (new.id)";
    let noted = if app.is_embedded() {
        format!("CREATE TRIGGER noted AFTER INSERT ON mail_intents WHEN {of_requests} BEGIN {note}; END")
    } else {
        format!("CREATE RULE noted AS ON INSERT TO mail_intents WHERE {of_requests} DO ALSO {note}")
    };
    app.execute(&noted).await;
}

async fn every_invalid_field_of_a_registration_is_named(app: &TestApp) {
    let client = app.client();
    let before = app.row_counts().await;
    let all = ["body.email", "body.password", "body.first_name", "body.last_name"];
    for body in [
        json!({}),
        json!({ "email": null, "password": null, "first_name": null, "last_name": null }),
        json!({ "email": 7, "password": true, "first_name": [], "last_name": {} }),
        json!({ "email": "ada", "password": "short", "first_name": "", "last_name": "x".repeat(151) }),
        json!({ "email": "a\0@b.org", "password": "12345678\0", "first_name": "A\0", "last_name": "\0" }),
    ] {
        let response = client.post("/auth/register", body.clone()).await.assert_status(422);
        let mut refused = response.invalid_fields();
        refused.sort_by_key(|field| all.iter().position(|known| known == field));
        assert_eq!(refused, all, "{body}");
    }
    for body in [json!([]), json!("text"), json!(7), json!(null)] {
        client.post("/auth/register", body).await.assert_status(422);
    }
    assert_eq!(app.row_counts().await, before);
}

async fn names_passwords_and_addresses_have_length_limits(app: &TestApp) {
    let fits = |field: &'static str, value: String| async move {
        let person = app.person("ada");
        let mut body = person.registration();
        body[field] = value.into();
        let response = person.client.post("/auth/register", body).await;
        let refused = response.invalid_fields();
        assert!(
            response.status == 201 || (response.status == 422 && refused == [format!("body.{field}")]),
            "{response:?}"
        );
        response.status == 201
    };
    for (field, value, good) in [
        ("first_name", "ñ".repeat(100), true),
        ("first_name", "ñ".repeat(151), false),
        ("last_name", "L".to_owned(), true),
        ("password", "ñ".repeat(8), true),
        ("password", "ñ".repeat(7), false),
        ("password", "ñ".repeat(128), true),
        ("password", "ñ".repeat(129), false),
        ("email", format!("{}@{}.org", "a".repeat(64), "b".repeat(63)), true),
        ("email", format!("a@{}.org", "b".repeat(250)), false),
        ("email", "ñandu@example.org".to_owned(), false),
    ] {
        assert_eq!(fits(field, value.clone()).await, good, "{field}: {value}");
    }
}

async fn the_password_that_the_app_probes_with_is_refused(app: &TestApp) {
    let mut ada = app.person("ada");
    ada.password = "dummyPassword123".to_owned();
    let response = ada.register().await.assert_status(422);
    assert!(response.text.contains("password"), "{}", response.text);
    assert_eq!(app.row_count("users").await, 0);
}

async fn weak_passwords_are_refused_if_a_minimum_score_is_set(app: &TestApp) {
    for weak in ["password123", "12345678", "Lovelace1", "faceofmind"] {
        let mut ada = app.person("ada");
        ada.password = weak.to_owned();
        let response = ada.register().await.assert_status(422);
        assert!(
            response.detail().contains("password") && !response.detail().contains("Invalid"),
            "{}",
            response.detail()
        );
    }
    assert_eq!(app.row_count("users").await, 0);
    app.person("ada").register().await.assert_status(201);
}

/// To rate a password of 128 look-alike symbols (p4$$w0rd) takes a worker of the hasher a tenth of a second, so the limit comes first.
async fn weak_passwords_are_rated_after_the_limit_and_count(app: &TestApp) {
    record_queued_mails(app).await;
    let client = app.client();
    let mut ada = app.person("ada").using(client);
    ada.password = "p4$$w0rd".repeat(16);
    for rated in 1..=3 {
        ada.register().await.assert_status(422);
        assert_eq!(work(app).await, [rated, 0]);
    }
    ada.register().await.assert_status(429);
    assert_eq!(work(app).await, [3, 0], "beyond the limit nothing is rated");
}

async fn registrations_from_one_client_address_are_limited(app: &TestApp) {
    let client = app.client();
    for _ in 0..3 {
        app.person("ada").using(client.clone()).register().await.assert_status(201);
    }
    let before = app.row_counts().await;
    let refused = app.person("ada").using(client.clone()).register().await.assert_status(429);
    assert_eq!(app.row_counts().await, before);
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=3600).contains(&seconds), "{seconds}");
    app.person("bob").register().await.assert_status(201);
    app.advance_seconds(seconds + 1);
    app.person("ada").using(client).register().await.assert_status(201);
}

async fn many_people_register_at_once(app: &TestApp) {
    let people: Vec<_> = (0..30).map(|_| app.person("ada")).collect();
    let calls = people.iter().cloned().map(|person| async move { person.register().await.status });
    assert_eq!(concurrently(calls).await, [201; 30]);
    for person in &people {
        let code = app.mail_to(&person.email).await.code();
        person.verify(&code).await.assert_status(200);
    }
    assert_eq!(app.number("SELECT count(*) FROM users WHERE status = 'active'").await, 30);
}

async fn concurrent_registrations_of_one_address_make_one_account(app: &TestApp) {
    let ada = app.person("ada");
    let calls = (0..8).map(|_| {
        let ada = ada.using(app.client());
        async move { ada.register().await.status }
    });
    assert_eq!(concurrently(calls).await, [201; 8]);
    assert_eq!((app.row_count("users").await, app.row_count("claims").await), (1, 3));
    app.events(&["user.registered"]).await;
}

async fn accounts_never_verified_are_deleted_after_30_days(app: &TestApp) {
    let (late, ada) = (app.register("late").await, app.verified("ada").await);
    app.advance(29 * 24 * 60);
    app.register("newer").await;
    let app = app.restarted(&[]).await;
    app.client().call(Method::GET, "/health").send().await.assert_status(200);
    assert_eq!(app.row_count("users").await, 3);
    app.advance(25 * 60);
    let app = app.restarted(&[]).await;
    eventually("the unverified account is deleted", async || (app.row_count("users").await == 2).then_some(())).await;
    assert_eq!(app.number(&format!("SELECT count(*) FROM users WHERE email = '{}'", late.email)).await, 0);
    ada.using(app.client()).log_in().await.assert_status(200);
    app.stop().await;
}
