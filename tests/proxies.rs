//! `TRUSTED_PROXIES`: the proxies whose `X-Forwarded-For` names the client IP.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Person, TestApp, tests_on_both_profiles};

tests_on_both_profiles! {
    the_client_is_the_rightmost_hop_that_is_not_a_proxy with [("TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")],
    without_trusted_proxies_the_peer_is_the_client with [("TRUSTED_PROXIES", "")],
    a_forged_header_does_not_evade_limits with [("TRUSTED_PROXIES", "192.0.2.1")],
}

/// Logs in through these hops and gives the client IP that the service stored.
async fn stored_ip(app: &TestApp, person: &Person, hops: &str) -> String {
    let body = json!({ "email": person.email, "password": person.password });
    let client = app.client_from(hops);
    let tokens = client.api(Method::POST, "/auth/login").json(&body).send().await.assert_status(200);
    let listed = client.with_token(&tokens.text_of("access_token")).get("/auth/logins").await.assert_status(200);
    listed.json[0]["address"].as_str().expect("an address").to_owned()
}

async fn the_client_is_the_rightmost_hop_that_is_not_a_proxy(app: &TestApp) {
    let ada = app.verified("ada").await;
    for (hops, client) in [
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("rubbish", "127.0.0.1"),
        ("203.0.113.7, rubbish, 10.1.2.3", "10.1.2.3"),
    ] {
        assert_eq!(stored_ip(app, &ada, hops).await, client, "{hops}");
    }
}

async fn without_trusted_proxies_the_peer_is_the_client(app: &TestApp) {
    let ada = app.verified("ada").await;
    assert_eq!(stored_ip(app, &ada, "203.0.113.7").await, "127.0.0.1");
}

async fn a_forged_header_does_not_evade_limits(app: &TestApp) {
    let ada = app.verified("ada").await;
    for _ in 0..10 {
        ada.using(app.client()).log_in_with("not the password").await.assert_status(401);
    }
    ada.using(app.client()).log_in().await.assert_status(429);
}
