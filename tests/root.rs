//! `/`, `/health`, `/ready`, the documentation pages, and the operators' listener.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Client, TestApp, at_once, eventually, snapshot, stories};

stories! {
    the_root_tells_who_is_here,
    the_process_lives,
    every_part_is_ready,
    the_pages_ask_nothing_of_another_host,
    the_document_is_served,
    operators_see_metrics_and_the_public_does_not,
    operators_can_be_shut_out with [("OPERATOR_ADDR", "")],
    long_answers_are_compressed_for_those_who_ask,
    a_service_that_stops_finishes_what_it_began,
    a_silent_connection_does_not_delay_the_stop,
}

async fn get(client: &Client, path: &str) -> Answer {
    client.call(Method::GET, path).send().await
}

async fn the_root_tells_who_is_here(app: &TestApp) {
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

async fn the_process_lives(app: &TestApp) {
    for path in ["/health", "/health/"] {
        assert_eq!(get(&app.client(), path).await.is(200).json["status"], "healthy");
    }
}

async fn every_part_is_ready(app: &TestApp) {
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

async fn the_pages_ask_nothing_of_another_host(app: &TestApp) {
    for path in ["/docs", "/docs/", "/redoc", "/redoc/"] {
        let page = get(&app.client(), path).await.is(200);
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
        assert!(get(&app.client(), &format!("/docs/{file}")).await.is(200).text.len() > 10_000, "{file}");
    }
}

async fn the_document_is_served(app: &TestApp) {
    let document = get(&app.client(), "/openapi.json").await.is(200);
    assert!(document.json["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    assert_eq!(document.header("content-type"), "application/json; charset=utf-8");
}

async fn operators_see_metrics_and_the_public_does_not(app: &TestApp) {
    let operator = app.client().at(app.operators.expect("they have a listener"));
    app.verified("ada").await;
    let metrics = get(&operator, "/metrics").await.is(200);
    assert!(metrics.text.lines().any(|line| line.starts_with("# TYPE ")), "{}", metrics.text);
    for actor in
        ["logins", "suggestions", "session_tracker", "otp", "limiter", "mailer", "hasher", "publisher", "registry-7"]
    {
        assert!(
            metrics.text.contains(&format!("faceofmind_actor_up{{actor=\"{actor}\"}} 1")),
            "{actor}: {}",
            metrics.text
        );
    }
    for counted in [
        "faceofmind_http_request_seconds_count{method=\"POST\",route=\"/api/v1/auth/register\",status=\"2xx\"} 1",
        "faceofmind_actor_messages_total{actor=\"hasher\",message=\"HashPassword\",outcome=\"Ok\"} 1",
        "faceofmind_actor_batch_size_count{actor=\"limiter\"} ",
        "faceofmind_password_hash_seconds_count 1",
        "faceofmind_database_connections ",
        "faceofmind_mail_waiting ",
    ] {
        assert!(metrics.text.contains(counted), "{counted}: {}", metrics.text);
    }
    get(&app.client(), "/metrics").await.is(404);
    operator.get("/auth/me").await.is(404);
}

async fn operators_can_be_shut_out(app: &TestApp) {
    assert_eq!(app.operators, None);
    get(&app.client(), "/metrics").await.is(404);
}

async fn long_answers_are_compressed_for_those_who_ask(app: &TestApp) {
    let plain = get(&app.client(), "/openapi.json").await;
    assert_eq!(plain.header("content-encoding"), "");
    let head = "GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n";
    let packed = app.raw(head.as_bytes()).await;
    assert!(packed.to_ascii_lowercase().contains("content-encoding: gzip"), "{}", &packed[..300]);
    assert!(packed.len() < plain.text.len() / 2);
}

/// What runs is answered; what comes later finds nobody.
async fn a_service_that_stops_finishes_what_it_began(app: &TestApp) {
    let ada = app.verified("ada").await;
    let calls = (0..40).map(|_| {
        let ada = ada.clone();
        async move { ada.api(Method::POST, "/sessions/").json(&json!({})).try_send().await.map(|answer| answer.status) }
    });
    let calls = at_once(calls);
    eventually("the first session", async || (app.rows("sessions").await > 0).then_some(())).await;
    app.stop().await;
    let told = calls.await;
    let begun = i64::try_from(told.iter().flatten().filter(|status| **status == 201).count()).expect("few");
    assert!(told.iter().flatten().all(|status| [201, 503].contains(status)), "{told:?}");
    assert_eq!(app.rows("sessions").await, begun, "what was stored was answered: {told:?}");
}

/// Browsers connect before they know what to ask.
async fn a_silent_connection_does_not_delay_the_stop(app: &TestApp) {
    let _silent = tokio::net::TcpStream::connect(app.address).await.expect("it listens");
    app.client().call(Method::GET, "/health").send().await.is(200);
    let begun = tokio::time::Instant::now();
    app.stop().await;
    assert!(begun.elapsed() < std::time::Duration::from_millis(1500), "{:?}", begun.elapsed());
}
