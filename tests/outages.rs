//! Outages of servers: what still works, what answers 503. No outage leaves a partial write.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Server, TestApp, concurrently, tests_on_both_profiles, tests_on_production};

tests_on_both_profiles! {
    a_full_hasher_queue_answers_503_and_delays_no_other_request with [
        ("HASHER_QUEUE", "2"),
        ("ARGON2_MEMORY_KIB", "65536"),
        ("ARGON2_ITERATIONS", "4"),
    ],
}

tests_on_production! {
    without_redis_only_one_time_codes_are_unavailable,
    without_the_database_the_service_answers_503_and_recovers,
}

async fn without_redis_only_one_time_codes_are_unavailable(app: &TestApp) {
    app.stop().await;
    app.allow_failures();
    let (node, proxy) = app.node_behind_proxy(Server::Redis, &[]).await;
    let (ada, bob) = (node.verified("ada").await, node.register("bob").await);
    let code = node.mail_to(&bob.email).await.code();
    proxy.cut();
    node.wait_for_status("degraded").await;
    bob.verify(&code).await.assert_status(503);
    bob.reset_password(&code, "a new and longer word").await.assert_status(503);
    assert!(ada.is_logged_in().await);
    ada.start_session().await;
    ada.refresh().await.assert_status(200);
    ada.log_in().await.assert_status(200);
    // Without Redis, each node counts for itself.
    let guesser = ada.using(node.client());
    for _ in 0..10 {
        guesser.log_in_with("not the password").await.assert_status(401);
    }
    guesser.log_in().await.assert_status(429);
    proxy.restore();
    node.wait_for_status("ready").await;
    bob.verify(&code).await.assert_status(200);
    node.stop().await;
}

async fn without_the_database_the_service_answers_503_and_recovers(app: &TestApp) {
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
    assert_eq!(node.row_counts().await, before, "no partial write");
    proxy.restore();
    node.wait_for_status("ready").await;
    ada.start_session().await;
    ada.log_in().await.assert_status(200);
    node.stop().await;
}

async fn a_full_hasher_queue_answers_503_and_delays_no_other_request(app: &TestApp) {
    app.allow_failures();
    let ada = app.verified("ada").await;
    let logins = (0..40).map(|_| {
        let ada = ada.using(app.client());
        async move { ada.log_in().await.status }
    });
    let logins = concurrently(logins);
    for _ in 0..10 {
        let begun = tokio::time::Instant::now();
        ada.get("/auth/me").await.assert_status(200);
        assert!(begun.elapsed() < std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    let statuses = logins.await;
    assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    ada.log_in().await.assert_status(200);
}
