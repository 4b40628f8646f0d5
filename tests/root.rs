//! `/`, `/health`, `/ready`, the documentation pages, and the operator listener.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Client, Response, TestApp, concurrently, eventually, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    the_root_names_the_service,
    health_reports_a_live_process,
    ready_reports_every_part,
    the_documentation_pages_load_nothing_from_other_hosts,
    the_openapi_document_is_served,
    metrics_are_served_to_operators_only with [("LIMIT_POSTS_PER_HOUR", "1")],
    the_operator_listener_can_be_disabled with [("OPERATOR_ADDR", "")],
    long_responses_are_compressed_on_request,
    a_stopping_service_completes_running_requests,
    an_idle_connection_does_not_delay_the_stop,
    a_service_that_stops_serves_on_until_a_balancer_has_noticed with [("DRAIN_SECONDS", "3")],
}

async fn get(client: &Client, path: &str) -> Response {
    client.call(Method::GET, path).send().await
}

async fn the_root_names_the_service(app: &TestApp) {
    let mut root = get(&app.client(), "/").await;
    assert_eq!(root.json["version"], env!("CARGO_PKG_VERSION"));
    root.json["version"] = "[version]".into();
    snapshot!(root, @r#"
    200 {
      "docs": "/docs",
      "message": "Welcome to the FaceofMind User API",
      "redoc": "/redoc",
      "version": "[version]"
    }
    "#);
}

async fn health_reports_a_live_process(app: &TestApp) {
    for path in ["/health", "/health/"] {
        assert_eq!(get(&app.client(), path).await.assert_status(200).json["status"], "healthy");
    }
}

async fn ready_reports_every_part(app: &TestApp) {
    let ready = get(&app.client(), "/ready").await;
    snapshot!(ready, @r#"
    200 {
      "codes": "up",
      "database": "up",
      "events": "up",
      "mail": "up",
      "status": "ready"
    }
    "#);
}

async fn the_documentation_pages_load_nothing_from_other_hosts(app: &TestApp) {
    for path in ["/docs", "/docs/", "/redoc", "/redoc/"] {
        let page = get(&app.client(), path).await.assert_status(200);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'self'") && !policy.contains("http"), "{path}: {policy}");
        for (attribute, end) in [("src=\"", '"'), ("href=\"", '"'), ("src='", '\''), ("href='", '\'')] {
            for asked in page.text.split(attribute).skip(1).filter_map(|rest| rest.split(end).next()) {
                assert!(!asked.starts_with("http") && !asked.starts_with("//"), "{path} asks for {asked}");
            }
        }
    }
    for file in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"] {
        assert!(get(&app.client(), &format!("/docs/{file}")).await.assert_status(200).text.len() > 10_000, "{file}");
    }
}

async fn the_openapi_document_is_served(app: &TestApp) {
    let document = get(&app.client(), "/openapi.json").await.assert_status(200);
    assert!(document.json["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    assert_eq!(document.header("content-type"), "application/json; charset=utf-8");
}

async fn metrics_are_served_to_operators_only(app: &TestApp) {
    let operator = app.client().at(app.operators.expect("an operator listener"));
    let ada = app.verified("ada").await;
    for status in [201, 429] {
        ada.post("/posts/", json!({ "content": "one" })).await.assert_status(status);
    }
    let metrics = get(&operator, "/metrics").await.assert_status(200);
    assert!(metrics.text.lines().any(|line| line.starts_with("# TYPE ")), "{}", metrics.text);
    for actor in
        ["logins", "suggestions", "session_tracker", "otp", "limiter", "mailer", "hasher", "publisher", "user_registry"]
    {
        assert!(
            metrics.text.contains(&format!("faceofmind_actor_up{{actor=\"{actor}\"}} 1")),
            "{actor}: {}",
            metrics.text
        );
    }
    for sample in [
        "faceofmind_http_request_seconds_count{method=\"POST\",route=\"/api/v1/auth/register\",status=\"2xx\"} 1",
        "faceofmind_actor_messages_total{actor=\"hasher\",message=\"HashNewPassword\",outcome=\"Ok\"} 1",
        "faceofmind_actor_batch_size_count{actor=\"limiter\"} ",
        "faceofmind_password_hash_seconds_count 2",
        "faceofmind_database_connections ",
        "faceofmind_mail_waiting ",
        "faceofmind_erasure_age_seconds 0",
        "faceofmind_rate_limit_full_total{limit=\"posts\"} 1",
    ] {
        assert!(metrics.text.contains(sample), "{sample}: {}", metrics.text);
    }
    let names = documented_metrics();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let is_sample = |line: &str| {
            let rest = line.strip_prefix("faceofmind_").and_then(|line| line.strip_prefix(name));
            rest.is_some_and(|rest| {
                rest.starts_with([' ', '{']) || ["_total", "_count"].iter().any(|end| rest.starts_with(end))
            })
        };
        assert!(metrics.text.lines().any(is_sample), "{name}: {}", metrics.text);
    }
    get(&app.client(), "/metrics").await.assert_status(404);
    operator.get("/auth/me").await.assert_status(404);
}

/// The names in the last column of the table of bounds.
fn documented_metrics() -> Vec<&'static str> {
    let (_, table) = include_str!("../docs/OPERATIONS.md").split_once("\n## What is bounded\n").expect("a table");
    let rows = table.split("\n## ").next().unwrap_or_default().lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

async fn the_operator_listener_can_be_disabled(app: &TestApp) {
    assert_eq!(app.operators, None);
    get(&app.client(), "/metrics").await.assert_status(404);
}

async fn long_responses_are_compressed_on_request(app: &TestApp) {
    let plain = get(&app.client(), "/openapi.json").await;
    assert_eq!(plain.header("content-encoding"), "");
    let head = "GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n";
    let packed = app.raw(head.as_bytes()).await;
    assert!(packed.to_ascii_lowercase().contains("content-encoding: gzip"), "{}", &packed[..300]);
    assert!(packed.len() < plain.text.len() / 2);
}

/// A running request gets its response. A later one finds no listener.
async fn a_stopping_service_completes_running_requests(app: &TestApp) {
    let ada = app.verified("ada").await;
    let calls =
        (0..40).map(|_| {
            let ada = ada.clone();
            async move {
                ada.api(Method::POST, "/sessions/").json(&json!({})).try_send().await.map(|response| response.status)
            }
        });
    let calls = concurrently(calls);
    eventually("the first session is stored", async || (app.row_count("sessions").await > 0).then_some(())).await;
    app.stop().await;
    let statuses = calls.await;
    let created = i64::try_from(statuses.iter().flatten().filter(|status| **status == 201).count()).expect("few");
    assert!(statuses.iter().flatten().all(|status| [201, 503].contains(status)), "{statuses:?}");
    assert_eq!(app.row_count("sessions").await, created, "every stored session was answered: {statuses:?}");
}

/// A balancer sees `/ready` before the listener closes, and a client is told not to use its connection again.
async fn a_service_that_stops_serves_on_until_a_balancer_has_noticed(app: &TestApp) {
    let noticed = async {
        let ready = async || app.client().call(Method::GET, "/ready").try_send().await.map(|response| response.status);
        eventually("it is not ready", async || (ready().await == Some(503)).then_some(())).await;
        let head = app.raw(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
    };
    tokio::join!(app.stop(), noticed);
}

/// Browsers open connections before they have a request.
async fn an_idle_connection_does_not_delay_the_stop(app: &TestApp) {
    let _silent = tokio::net::TcpStream::connect(app.address).await.expect("the service listens");
    app.client().call(Method::GET, "/health").send().await.assert_status(200);
    let begun = tokio::time::Instant::now();
    app.stop().await;
    assert!(begun.elapsed() < std::time::Duration::from_millis(1500), "{:?}", begun.elapsed());
}
