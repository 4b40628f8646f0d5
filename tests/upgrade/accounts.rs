//! Accounts, logins, one-time codes and rate limits of the earlier version.

use serde_json::json;

use super::{PHONE, Upgraded, log_in_with};
use crate::harness::{Person, Response, TestApp, tests_on_both_profiles};

tests_on_both_profiles! {
    accounts_log_in_as_before,
    tokens_are_good_as_before,
    a_known_device_is_still_known,
    codes_that_were_mailed_are_still_good,
    wrong_guesses_made_before_still_count,
    a_pending_registration_gets_a_fresh_code,
    an_activation_keeps_the_password_of_a_single_registration,
    limits_that_were_reached_are_still_reached,
}

/// The same person at a client of another address.
fn elsewhere(upgraded: &Upgraded, person: &Person, number: u8) -> Person {
    person.using(upgraded.app.client_from(&format!("203.0.113.{number}")))
}

async fn reset(person: &Person, code: &str, password: &str) -> Response {
    let body = json!({ "email": person.email, "otp": code, "new_password": password });
    person.client.post("/auth/reset-password", body).await
}

async fn accounts_log_in_as_before(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let active = [
        ("grace", "admin"),
        ("ada", "user"),
        ("paul", "professional"),
        ("mia", "user"),
        ("rex", "user"),
        ("tom", "user"),
    ];
    for (name, role) in active {
        let person = upgraded.person(name);
        let logged_in = log_in_with(&person, PHONE).await.assert_status(200).json;
        assert_eq!(
            (&logged_in["id"], &logged_in["role"], &logged_in["status"], &logged_in["last_name"]),
            (&json!(person.id), &json!(role), &json!("active"), &json!("Quillon")),
            "{name}"
        );
    }
    for name in ["kim", "pat"] {
        let person = upgraded.person(name);
        person.log_in().await.assert_status(401);
        person.log_in_with(&format!("the new password of {name}")).await.assert_status(200);
    }
    let una = upgraded.person("una");
    una.log_in().await.assert_status(401);
    Person { email: "una.new@upgrade.test".into(), ..una }.log_in().await.assert_status(200);
    for (name, status) in [("dora", "deactivated"), ("sam", "suspended")] {
        let refused = upgraded.person(name).log_in().await.assert_status(403);
        assert!(refused.detail().contains(status), "{}", refused.detail());
    }
    upgraded.person("nina").log_in().await.assert_status(400);
    upgraded.person("eva").log_in().await.assert_status(401);
    let users = log_in_with(&upgraded.person("grace"), PHONE).await.assert_status(200);
    let users = upgraded.person("grace").with_tokens(&users).get("/users/?limit=100").await.assert_status(200);
    let inactive = users.json["results"].as_array().expect("a list").iter().filter(|user| user["status"] == "inactive");
    assert_eq!((users.number_of("total"), inactive.count()), (15, 3));
    upgraded.end().await;
}

async fn tokens_are_good_as_before(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    for name in ["grace", "ada", "paul", "mia", "kim"] {
        let person = upgraded.person(name);
        assert_eq!(person.get("/auth/me").await.assert_status(200).number_of("id"), person.id);
    }
    for name in ["dora", "sam", "eva"] {
        let person = upgraded.person(name);
        assert!(!person.is_logged_in().await, "{name}");
        person.refresh().await.assert_status(401);
    }
    let ada = upgraded.person("ada");
    let logins = ada.get("/auth/logins").await.assert_status(200).json;
    let devices: Vec<_> = logins.as_array().expect("a list").iter().map(|login| login["device"].clone()).collect();
    assert_eq!(devices, ["Watch/1", "Laptop/1", "Phone/1"], "the tablet was logged out");
    assert_eq!((&logins[2]["address"], &logins[2]["current"]), (&json!("203.0.113.2"), &json!(true)));
    let rotated = ada.with_tokens(&ada.refresh().await.assert_status(200));
    assert!(rotated.refresh != ada.refresh && rotated.is_logged_in().await);

    let rex = upgraded.person("rex");
    let again = rex.refresh().await.assert_status(200).text_of("refresh_token");
    assert_eq!(upgraded.known["people"]["rex"]["successor"], again, "the client never received it, and gets the same");

    // The fixture was written within the grace period of this rotation.
    upgraded.app.advance(1);
    let paul = upgraded.person("paul");
    let replaced = upgraded.known["people"]["paul"]["replaced"].as_str().expect("a token").to_owned();
    Person { refresh: replaced, ..paul.clone() }.refresh().await.assert_status(401);
    assert!(!paul.is_logged_in().await, "a token that was used twice ends its log-in");
    upgraded.end().await;
}

async fn a_known_device_is_still_known(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let rex = upgraded.person("rex");
    for device in [PHONE, "Kiosk/1"] {
        log_in_with(&rex, device).await.assert_status(200);
    }
    let mail = upgraded.mail_to(&rex.email).await;
    assert!(mail.text.contains("Kiosk/1"), "{}", mail.text);
    upgraded.end().await;
}

async fn codes_that_were_mailed_are_still_good(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let ivy = upgraded.person("ivy");
    let verified = ivy.verify(upgraded.code("ivy")).await.assert_status(200).json;
    assert_eq!(verified["user"]["first_name"], "Ivy", "the code was mailed for her claim, and not for the later one");
    log_in_with(&ivy, PHONE).await.assert_status(200);
    ivy.log_in_with("the password of another").await.assert_status(401);

    let rex = upgraded.person("rex");
    reset(&rex, upgraded.code("rex"), "dummyPassword123").await.assert_status(422);
    reset(&rex, upgraded.code("rex"), "a password after the upgrade").await.assert_status(200);
    rex.log_in_with("a password after the upgrade").await.assert_status(200);
    reset(&rex, upgraded.code("rex"), "one more password after it").await.assert_status(400);

    let mia = upgraded.person("mia");
    let moved = mia.post("/users/me/email/confirm", json!({ "otp": upgraded.code("mia") })).await.assert_status(200);
    assert_eq!(moved.json["user"]["email"], "mia.new@upgrade.test");
    upgraded.end().await;
}

/// In the fixture her own client has reached its daily number of wrong codes, and the code has one try left.
async fn wrong_guesses_made_before_still_count(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let fran = upgraded.person("fran");
    fran.verify(upgraded.code("fran")).await.assert_status(429);
    let other = elsewhere(&upgraded, &fran, 130);
    other.verify("no code").await.assert_status(400);
    other.verify(upgraded.code("fran")).await.assert_status(400);
    elsewhere(&upgraded, &fran, 131).verify(upgraded.code("fran")).await.assert_status(429);
    upgraded.end().await;
}

async fn a_pending_registration_gets_a_fresh_code(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let later = Person { password: "the password of another".into(), ..upgraded.person("ivy") };
    let later = elsewhere(&upgraded, &later, 132);
    later.log_in().await.assert_status(400);
    let mail = upgraded.mail_to(&later.email).await;
    assert!(mail.text.contains("Ivo Quillon"), "{}", mail.text);
    let verified = later.verify(&mail.code()).await.assert_status(200).json;
    assert_eq!(verified["user"]["first_name"], "Ivo");
    later.log_in().await.assert_status(200);
    upgraded.end().await;
}

async fn an_activation_keeps_the_password_of_a_single_registration(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let grace = upgraded.person("grace");
    for (name, registrations) in [("ivy", 2), ("fran", 1)] {
        let found = grace.get(&format!("/users/?query={name}")).await.assert_status(200);
        let id = &found.json["results"][0]["id"];
        grace.patch(&format!("/users/{id}/activate")).await.assert_status(200);
        let newest = if name == "ivy" { "the password of another" } else { "the long password of fran" };
        let logged_in = upgraded.person(name).log_in_with(newest).await;
        assert_eq!(logged_in.status, if registrations == 1 { 200 } else { 401 }, "{name}");
    }
    upgraded.end().await;
}

async fn limits_that_were_reached_are_still_reached(app: &TestApp) {
    let upgraded = Upgraded::start(app).await;
    let unknown = json!({ "email": "unknown@upgrade.test", "password": "some long password" });
    let busy = upgraded.app.client_from("203.0.113.105");
    busy.post("/auth/login", unknown.clone()).await.assert_status(429);
    elsewhere(&upgraded, &upgraded.person("nina"), 104).register().await.assert_status(429);
    let leo = upgraded.person("leo");
    leo.log_in().await.assert_status(429);
    let kim = Person { password: "the new password of kim".into(), ..upgraded.person("kim") };
    elsewhere(&upgraded, &kim, 133).log_in().await.assert_status(429);
    kim.log_in().await.assert_status(200);
    let ada = upgraded.person("ada");
    let text = json!({ "content": "One too many" });
    for path in ["/posts/", "/posts/1/comments"] {
        ada.post(path, text.clone()).await.assert_status(429);
    }
    upgraded.app.advance(11);
    busy.post("/auth/login", unknown).await.assert_status(401);
    leo.log_in().await.assert_status(200);
    ada.post("/posts/", text).await.assert_status(429);
    upgraded.end().await;
}
