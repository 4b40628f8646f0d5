//! Settings on the running program: what cannot work is refused, and IPv6 addresses work wherever an address stands.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Program, Server, TcpProxy, TestApp, TestEnv, tests_on_both_profiles, tests_on_production};

tests_on_production! { every_server_is_reached_at_an_ipv6_address }

tests_on_both_profiles! { the_service_listens_at_an_ipv6_address with [("HOST", "[::1]"), ("OPERATOR_ADDR", "[::1]:0"), ("TRUSTED_PROXIES", "[::1]")] }

async fn every_server_is_reached_at_an_ipv6_address(app: &TestApp) {
    let (mut proxies, mut changes) = (Vec::new(), vec![("SMTP_HOST", "[::1]".to_owned())]);
    for server in [Server::Postgres, Server::Redis, Server::Nats, Server::Smtp] {
        let proxy = TcpProxy::at("[::1]:0", &TestEnv::address_of(server)).await;
        changes.push(app.env.setting_of(server, &proxy));
        proxies.push(proxy);
    }
    let changes: Vec<_> = changes.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert!(changes.iter().any(|(_, value)| value.contains("@[::1]:")), "{changes:?}");
    let node = app.another_node(&changes).await;
    node.verified("ada").await.start_session().await;
    node.wait_for_status("ready").await;
    node.stop().await;
}

async fn the_service_listens_at_an_ipv6_address(app: &TestApp) {
    assert!(app.address.is_ipv6());
    let ada = app.verified("ada").await;
    let body = json!({ "email": ada.email, "password": ada.password });
    let tokens = app.client_from("203.0.113.7").api(Method::POST, "/auth/login").json(&body).send().await;
    let logins = app.client().with_token(&tokens.text_of("access_token")).get("/auth/logins").await.assert_status(200);
    assert_eq!(logins.json[0]["address"], "203.0.113.7", "the proxy is trusted");
    let operators = app.client().at(app.operators.expect("an operator listener"));
    operators.call(Method::GET, "/metrics").send().await.assert_status(200);
}

#[tokio::test]
async fn a_setting_that_cannot_work_is_refused_with_what_to_do() {
    for (name, value, remedy) in [
        ("CORS_ORIGINS", "https://*.example.org", "name each, such as https://admin.example.org"),
        ("CORS_ORIGINS", "https://admin.example.org/app", "https://admin.example.org"),
        ("TRUSTED_PROXIES", "::ffff:10.0.0.0/104", "write it as IPv4"),
        ("NATS_URL", "nats://one:4222/path", "give host and port alone"),
    ] {
        let refused = Program::with_only(&[(name, value)]).run(&["serve"], "").await;
        assert!(refused.code.is_some_and(|code| code != 0), "{name}={value}: {refused:?}");
        assert!(refused.errors.contains(name) && refused.errors.contains(remedy), "{name}={value}: {}", refused.errors);
    }
}
