//! A server that is gone: what still works, what answers 503, and that nothing is half-written.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Server, TestApp, concurrently, eventually, tests_on_both_profiles, tests_on_production};

tests_on_both_profiles! {
    a_full_hasher_answers_503_and_delays_nobody_else with [
        ("HASHER_QUEUE", "2"),
        ("ARGON2_MEMORY_KIB", "65536"),
        ("ARGON2_ITERATIONS", "4"),
    ],
}

tests_on_production! {
    without_redis_codes_are_out_of_reach_and_the_rest_goes_on,
    without_its_database_the_service_answers_503_and_recovers,
}

/// Waits until the service says of itself that it is so.
async fn until(app: &TestApp, status: &str) {
    let client = app.client();
    eventually(&format!("the service to be {status}"), async || {
        let ready = client.call(Method::GET, "/ready").send().await;
        (ready.json["status"] == status).then_some(ready)
    })
    .await;
}

async fn without_redis_codes_are_out_of_reach_and_the_rest_goes_on(app: &TestApp) {
    app.stop().await;
    app.allow_failures();
    let (node, proxy) = app.node_behind_proxy(Server::Redis, &[]).await;
    let (ada, bob) = (node.verified("ada").await, node.register("bob").await);
    let code = node.mail_to(&bob.email).await.code();
    proxy.cut();
    until(&node, "degraded").await;
    bob.verify(&code).await.assert_status(503);
    let body = json!({ "email": bob.email, "otp": code, "new_password": "a new and longer word" });
    bob.client.post("/auth/reset-password", body).await.assert_status(503);
    assert!(ada.is_logged_in().await);
    ada.start_session().await;
    ada.refresh().await.assert_status(200);
    ada.log_in().await.assert_status(200);
    // Limits count on, on this node alone.
    let guesser = ada.using(node.client());
    for _ in 0..10 {
        guesser.log_in_with("not the password").await.assert_status(401);
    }
    guesser.log_in().await.assert_status(429);
    proxy.restore();
    until(&node, "ready").await;
    bob.verify(&code).await.assert_status(200);
    node.stop().await;
}

async fn without_its_database_the_service_answers_503_and_recovers(app: &TestApp) {
    app.stop().await;
    app.allow_failures();
    let (node, proxy) = app.node_behind_proxy(Server::Postgres, &[]).await;
    let ada = node.verified("ada").await;
    let before = node.row_counts().await;
    proxy.cut();
    ada.post("/sessions/", json!({})).await.assert_status(503);
    ada.log_in().await.assert_status(503);
    node.person("bob").register().await.assert_status(503);
    let ready = node.client().call(Method::GET, "/ready").send().await.assert_status(503);
    assert_eq!(ready.json["database"], "down");
    node.client().call(Method::GET, "/health").send().await.assert_status(200);
    assert_eq!(node.row_counts().await, before, "nothing is half-written");
    proxy.restore();
    until(&node, "ready").await;
    ada.start_session().await;
    ada.log_in().await.assert_status(200);
    node.stop().await;
}

async fn a_full_hasher_answers_503_and_delays_nobody_else(app: &TestApp) {
    app.allow_failures();
    let ada = app.verified("ada").await;
    let storm = (0..40).map(|_| {
        let ada = ada.using(app.client());
        async move { ada.log_in().await.status }
    });
    let storm = concurrently(storm);
    for _ in 0..10 {
        let begun = tokio::time::Instant::now();
        ada.get("/auth/me").await.assert_status(200);
        assert!(begun.elapsed() < std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    let told = storm.await;
    assert!(told.contains(&200) && told.contains(&503), "{told:?}");
    assert!(told.iter().all(|status| [200, 503].contains(status)), "{told:?}");
    ada.log_in().await.assert_status(200);
}
