//! `POST /auth/logout` and `/auth/logout-all`: a login ends at once, on every node.

use serde_json::json;

use crate::harness::{Person, Server, TestApp, eventually, snapshot, tests_on_both_profiles, tests_on_production};

tests_on_both_profiles! {
    a_logout_ends_this_login_for_the_next_request,
    a_logout_everywhere_ends_every_login,
    a_logout_needs_a_token,
    an_ended_login_stays_ended_after_a_restart,
}

tests_on_production! {
    a_logout_takes_effect_on_another_node,
    a_suspension_takes_effect_on_another_node,
    a_node_without_nats_asks_the_database_each_time,
    a_node_that_loses_nats_asks_the_database_each_time,
}

async fn a_logout_ends_this_login_for_the_next_request(app: &TestApp) {
    let phone = app.verified("ada").await;
    let laptop = phone.log_in_again().await;
    assert!(phone.is_logged_in().await && laptop.is_logged_in().await);
    let response = phone.post("/auth/logout", json!({})).await;
    snapshot!(response, @r#"
    200 {
      "message": "Successfully logged out"
    }
    "#);
    assert!(!phone.is_logged_in().await);
    phone.refresh().await.assert_status(401);
    phone.post("/auth/logout", json!({})).await.assert_status(401);
    assert!(laptop.is_logged_in().await);
    laptop.refresh().await.assert_status(200);
    phone.log_in().await.assert_status(200);
}

async fn a_logout_everywhere_ends_every_login(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    let others = [ada.log_in_again().await, ada.log_in_again().await];
    ada.post("/auth/logout-all", json!({})).await.assert_status(200);
    for person in others.iter().chain([&ada]) {
        assert!(!person.is_logged_in().await);
        person.refresh().await.assert_status(401);
    }
    assert!(bob.is_logged_in().await);
    ada.log_in().await.assert_status(200);
}

async fn a_logout_needs_a_token(app: &TestApp) {
    for path in ["/auth/logout", "/auth/logout-all"] {
        app.client().post(path, json!({})).await.assert_status(401);
    }
}

async fn an_ended_login_stays_ended_after_a_restart(app: &TestApp) {
    let ada = app.verified("ada").await;
    ada.post("/auth/logout", json!({})).await.assert_status(200);
    let app = app.restarted(&[]).await;
    let ada = ada.using(app.client());
    assert!(!ada.is_logged_in().await);
    ada.refresh().await.assert_status(401);
    app.stop().await;
}

/// The same person, who calls this node.
fn at(person: &Person, node: &TestApp) -> Person {
    person.using(person.client.at(node.address))
}

async fn a_logout_takes_effect_on_another_node(app: &TestApp) {
    let node = app.another_node(&[]).await;
    for path in ["/auth/logout", "/auth/logout-all"] {
        let ada = app.verified("ada").await;
        let there = at(&ada, &node);
        assert!(there.is_logged_in().await);
        ada.post(path, json!({})).await.assert_status(200);
        eventually("the other node refuses the token", async || (!there.is_logged_in().await).then_some(())).await;
    }
    node.stop().await;
}

async fn a_suspension_takes_effect_on_another_node(app: &TestApp) {
    let node = app.another_node(&[]).await;
    let (admin, ada) = (app.admin().await, app.verified("ada").await);
    let there = at(&ada, &node);
    assert!(there.is_logged_in().await);
    admin.patch(&format!("/users/{}/suspend", ada.id)).await.assert_status(200);
    eventually("the other node refuses the token", async || (!there.is_logged_in().await).then_some(())).await;
    node.stop().await;
}

async fn a_node_without_nats_asks_the_database_each_time(app: &TestApp) {
    let node = app.another_node(&[("NATS_URL", "")]).await;
    for _ in 0..3 {
        let ada = app.verified("ada").await;
        let there = at(&ada, &node);
        assert!(there.is_logged_in().await && there.is_logged_in().await);
        ada.post("/auth/logout", json!({})).await.assert_status(200);
        assert!(!there.is_logged_in().await, "the next request to that node is refused");
    }
    node.stop().await;
}

async fn a_node_that_loses_nats_asks_the_database_each_time(app: &TestApp) {
    let (node, proxy) = app.node_behind_proxy(Server::Nats, &[]).await;
    let ada = app.verified("ada").await;
    let there = at(&ada, &node);
    assert!(there.is_logged_in().await);
    proxy.cut();
    node.wait_for_status("degraded").await;
    ada.post("/auth/logout", json!({})).await.assert_status(200);
    assert!(!there.is_logged_in().await, "the next request to that node is refused");
    proxy.restore();
    node.stop().await;
}
