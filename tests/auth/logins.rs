//! `GET /auth/logins`, `DELETE /auth/logins/{id}`

use reqwest::Method;
use serde_json::json;

use crate::harness::{TestApp, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    a_user_lists_their_logins_newest_first,
    a_user_ends_one_of_their_logins,
    the_login_of_another_user_is_not_found,
    ended_and_expired_logins_are_not_listed,
}

async fn a_user_lists_their_logins_newest_first(app: &TestApp) {
    let phone = app.verified("ada").await;
    app.advance(1);
    let laptop = phone.using(app.client()).log_in_again().await;
    let listed = laptop.get("/auth/logins").await.assert_status(200);
    let devices: Vec<_> = listed.json.as_array().expect("a list").iter().map(|login| &login["device"]).collect();
    assert_eq!(devices, ["Tests/1.0", "Tests/1.0"]);
    assert_eq!(listed.json[0]["address"], laptop.client.ip);
    assert_eq!(listed.json[1]["address"], phone.client.ip);
    assert_eq!((&listed.json[0]["current"], &listed.json[1]["current"]), (&json!(true), &json!(false)));
    let of_phone = phone.get("/auth/logins").await.assert_status(200);
    assert_eq!((&of_phone.json[0]["current"], &of_phone.json[1]["current"]), (&json!(false), &json!(true)));
    let mut one = listed;
    one.json = one.json[0].take();
    one.json["address"] = "[address]".into();
    snapshot!(one, @r#"
    200 {
      "address": "[address]",
      "created_at": "[time]",
      "current": true,
      "device": "Tests/1.0",
      "id": "[id]",
      "last_used_at": "[time]"
    }
    "#);
}

async fn a_user_ends_one_of_their_logins(app: &TestApp) {
    let phone = app.verified("ada").await;
    let laptop = phone.log_in_again().await;
    let id = current(&phone).await;
    laptop.delete(&format!("/auth/logins/{id}")).await.assert_status(200);
    assert!(!phone.is_logged_in().await);
    phone.refresh().await.assert_status(401);
    assert!(laptop.is_logged_in().await);
    let own = current(&laptop).await;
    laptop.delete(&format!("/auth/logins/{own}")).await.assert_status(200);
    assert!(!laptop.is_logged_in().await);
}

async fn current(person: &crate::harness::Person) -> i64 {
    let listed = person.get("/auth/logins").await.assert_status(200);
    let logins = listed.json.as_array().expect("a list");
    let current = logins.iter().find(|login| login["current"] == true).expect("one is current");
    current["id"].as_i64().expect("an id")
}

async fn the_login_of_another_user_is_not_found(app: &TestApp) {
    let (ada, eve, admin) = (app.verified("ada").await, app.verified("eve").await, app.admin().await);
    let id = current(&ada).await;
    for other in [&eve, &admin] {
        let refused = other.delete(&format!("/auth/logins/{id}")).await.assert_status(404);
        let unknown = other.delete("/auth/logins/4000000").await.assert_status(404);
        assert_eq!(refused.redacted(), unknown.redacted());
    }
    assert!(ada.is_logged_in().await);
    let bad = ada.delete("/auth/logins/abc").await.assert_status(422);
    assert_eq!(bad.invalid_fields(), ["path.id"]);
    app.client().api(Method::GET, "/auth/logins").send().await.assert_status(401);
    app.client().api(Method::DELETE, &format!("/auth/logins/{id}")).send().await.assert_status(401);
}

async fn ended_and_expired_logins_are_not_listed(app: &TestApp) {
    let ada = app.verified("ada").await;
    let other = ada.log_in_again().await;
    other.post("/auth/logout", json!({})).await.assert_status(200);
    let count = async |person: &crate::harness::Person| {
        person.get("/auth/logins").await.assert_status(200).json.as_array().map(Vec::len)
    };
    assert_eq!(count(&ada).await, Some(1));
    app.advance(31 * 24 * 60);
    let newer = ada.log_in_again().await;
    assert_eq!(count(&newer).await, Some(1));
}
