//! HTTP itself: connections, hosts, encodings, and what caches may keep.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{TestApp, tests_on_both_profiles};

tests_on_both_profiles! {
    a_connection_outlives_the_limit_of_a_head_between_requests with [("HEADER_TIMEOUT_SECONDS", "1")],
    a_body_that_comes_too_slowly_is_a_408 with [("REQUEST_TIMEOUT_SECONDS", "1")],
    a_request_names_one_host,
    an_encoded_body_is_refused,
    caches_distinguish_origins_and_encodings with [("CORS_ORIGINS", "https://admin.example.org")],
    time_zone_and_language_can_be_read_where_they_are_written,
}

/// Sends a request and reads one response with a body of JSON.
async fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("the connection is open");
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    while !read.ends_with(b"}") {
        let count = stream.read(&mut buffer).await.expect("readable");
        assert_ne!(count, 0, "the connection ended after {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(read).expect("text")
}

/// As a proxy does that keeps its connections.
async fn a_connection_outlives_the_limit_of_a_head_between_requests(app: &TestApp) {
    let post =
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let mut stream = TcpStream::connect(app.address).await.expect("the service listens");
    for (request, status) in [("GET /health HTTP/1.1\r\nhost: x\r\n\r\n", "200"), (post, "422"), (post, "422")] {
        let answer = ask(&mut stream, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
}

async fn a_body_that_comes_too_slowly_is_a_408(app: &TestApp) {
    let ada = app.verified("ada").await;
    for path in ["/api/v1/auth/login", "/api/v1/sessions/"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nidempotency-key: one\r\n\
            content-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
            ada.access
        );
        let answer = app.raw(head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("/problems/body-too-slow"), "{path}: {answer}");
    }
    assert_eq!(app.row_count("sessions").await, 0);
}

async fn a_request_names_one_host(app: &TestApp) {
    for (head, status) in [
        ("GET /health HTTP/1.1\r\nhost: x\r\n", 200),
        ("GET /health HTTP/1.1\r\nhost: [::1]:9000\r\n", 200),
        ("GET /health HTTP/1.0\r\n", 200),
        ("GET /health HTTP/1.1\r\n", 400),
        ("GET /api/v1/auth/me HTTP/1.1\r\nhost: x\r\nhost: y\r\n", 400),
        ("GET /health HTTP/1.1\r\nhost: x\r\nhost: x\r\n", 400),
        ("GET /health HTTP/1.0\r\nhost: x\r\nhost: x\r\n", 400),
        ("GET /health HTTP/1.1\r\nhost: a b\r\n", 400),
        ("GET /health HTTP/1.1\r\nhost: user@x\r\n", 400),
        ("GET /health HTTP/1.1\r\nhost: x/path\r\n", 400),
        ("GET http://x/health HTTP/1.1\r\n", 400),
    ] {
        let answer = app.raw(format!("{head}connection: close\r\n\r\n").as_bytes()).await;
        let is_right = answer.split(' ').nth(1) == Some(&status.to_string());
        assert!(is_right && (status == 200 || answer.contains("/problems/no-host")), "{head}: {answer}");
    }
}

async fn an_encoded_body_is_refused(app: &TestApp) {
    let ada = app.verified("ada").await;
    let before = app.row_counts().await;
    for encoding in ["gzip", "br", "gzip, identity", "rubbish"] {
        for (path, body) in [("/sessions/", &b"{}"[..]), ("/posts/", b"\x1f\x8b\x08")] {
            let call = ada.api(Method::POST, path).header("idempotency-key", "one").body(body.to_vec());
            let refused = call.header("content-encoding", encoding).send().await.assert_status(415);
            assert_eq!((refused.kind(), refused.header("accept-encoding")), ("encoded-body", "identity"), "{encoding}");
        }
    }
    assert_eq!(app.row_counts().await, before);
    ada.api(Method::POST, "/sessions/")
        .body("{}")
        .header("content-encoding", "identity")
        .send()
        .await
        .assert_status(201);
}

async fn caches_distinguish_origins_and_encodings(app: &TestApp) {
    for (method, path) in [
        (Method::GET, "/health"),
        (Method::GET, "/redoc"),
        (Method::GET, "/openapi.json"),
        (Method::GET, "/nowhere"),
        (Method::GET, "/api/v1/auth/me"),
        (Method::DELETE, "/api/v1/auth/me"),
        (Method::OPTIONS, "/api/v1/auth/me"),
    ] {
        for origin in ["", "https://admin.example.org", "https://evil.example"] {
            let mut call = app.client().call(method.clone(), path);
            if !origin.is_empty() {
                call = call.header("origin", origin);
            }
            let response = call.send().await;
            let vary: Vec<_> =
                response.headers.get_all("vary").iter().filter_map(|value| value.to_str().ok()).collect();
            let vary = vary.join(",").to_lowercase();
            assert!(vary.contains("origin") && vary.contains("accept-encoding"), "{} {origin}: {vary}", response.to);
        }
    }
}

async fn time_zone_and_language_can_be_read_where_they_are_written(app: &TestApp) {
    let (ada, admin) = (app.verified("ada").await, app.admin().await);
    let path = format!("/users/{}", ada.id);
    let before = ada.get(&path).await.assert_status(200).json;
    assert_eq!((&before["time_zone"], &before["language"]), (&json!(null), &json!(null)));
    let settings = json!({ "time_zone": "Europe/Berlin", "language": "fil" });
    let written = ada.put(&path, settings.clone()).await.assert_status(200).json;
    for read in [written, ada.get(&path).await.json, ada.get("/users/me").await.json, admin.get(&path).await.json] {
        assert_eq!(json!({ "time_zone": read["time_zone"], "language": read["language"] }), settings);
    }
}
