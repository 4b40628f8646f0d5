//! HTTP itself: connections, hosts, encodings, and what caches may keep.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::harness::{Program, TestApp, tests_on_both_profiles};

tests_on_both_profiles! {
    a_connection_outlives_the_limit_of_a_head_between_requests with [("HEADER_TIMEOUT_SECONDS", "1")],
    a_body_that_comes_too_slowly_is_a_408 with [("REQUEST_TIMEOUT_SECONDS", "1")],
    a_request_names_one_host,
    an_encoded_body_is_refused,
    caches_distinguish_origins_and_encodings with [("CORS_ORIGINS", "https://admin.example.org")],
    fixed_pages_are_sent_once_and_confirmed_afterwards,
    time_zone_and_language_can_be_read_where_they_are_written,
    connections_of_one_client_leave_places_for_others,
    a_head_request_takes_no_place_of_the_event_streams,
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

async fn fixed_pages_are_sent_once_and_confirmed_afterwards(app: &TestApp) {
    for path in ["/openapi.json", "/docs", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/redoc", "/redoc/"] {
        let mut tags = Vec::new();
        for encoding in ["identity", "gzip"] {
            let call = |method: Method| app.client().call(method, path).header("accept-encoding", encoding);
            let page = call(Method::GET).send().await.assert_status(200);
            let (tag, packed) = (page.header("etag").to_owned(), page.header("content-encoding").to_owned());
            assert_eq!(packed == "gzip", encoding == "gzip", "{path}");
            assert!(tag.len() > 10 && !tags.contains(&tag), "{path} {encoding}: {tag}");
            assert_eq!(page.header("cache-control"), "no-cache", "{path}");
            let strong = tag.trim_start_matches("W/");
            for known in [&tag, strong, &format!("\"other\", {tag}"), "*"] {
                for method in [Method::GET, Method::HEAD] {
                    let again = call(method).header("if-none-match", known).send().await.assert_status(304);
                    assert_eq!((again.header("etag"), again.text.as_str()), (tag.as_str(), ""), "{path} {known}");
                    assert!(again.header("vary").contains("accept-encoding"), "{path}");
                }
            }
            call(Method::GET).header("if-none-match", "\"other\"").send().await.assert_status(200);
            tags.push(tag);
        }
    }
}

/// Connects from an address of this machine.
async fn connect_from(ip: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((ip, 0).into()).expect("an address of this machine");
    socket.connect(to).await.expect("the program listens")
}

/// A program that may open few files is connected to more often than that, first by connections that are idle, then by ones with a request.
async fn connections_of_one_client_leave_places_for_others(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.stop().await;
    let log_in = json!({ "email": ada.email, "password": ada.password }).to_string();
    let log_in = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 198.51.100.7\r\ncontent-type: application/json\r\n\
        content-length: {}\r\n\r\n{log_in}",
        log_in.len()
    );
    let (flood, other) = ([127, 0, 0, 1], [127, 0, 0, 2]);
    let settings = [("TRUSTED_PROXIES", "192.0.2.1"), ("RUST_LOG", "warn")];
    let serving = Program::in_env(&app.env, &settings).with_open_files(256, 700).serve(&["serve", "--port", "0"]).await;
    let mut open = Vec::new();
    for number in 0..1500 {
        let mut idle = connect_from(flood, serving.address()).await;
        if number % 2 == 0 {
            ask(&mut idle, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
        }
        open.push(idle);
    }
    for client in [other, flood] {
        let answer = ask(&mut connect_from(client, serving.address()).await, &log_in).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    for _ in 0..1500 {
        let mut busy = connect_from(flood, serving.address()).await;
        // A client beyond its share is refused.
        drop(busy.write_all(&log_in.as_bytes()[..log_in.len() - 1]).await);
        open.push(busy);
    }
    let answer = ask(&mut connect_from(other, serving.address()).await, &log_in).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let exited = serving.terminate().await;
    assert_eq!(exited.errors.matches("X-Forwarded-For ignored").count(), 1, "{exited:?}");
}

/// A user may have eight streams open. The head of a stream is all of the answer, and waits for no event.
async fn a_head_request_takes_no_place_of_the_event_streams(app: &TestApp) {
    let ada = app.verified("ada").await;
    let head = format!(
        "HEAD /api/v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
        ada.access
    );
    let nine_heads = async || {
        let answers = join_all((0..9).map(|_| app.raw(head.as_bytes())));
        for answer in timeout(Duration::from_secs(5), answers).await.expect("each is answered at once") {
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
            assert!(answer.contains("content-type: text/event-stream"), "{answer}");
        }
    };
    nine_heads().await;
    let streams = join_all((0..8).map(|_| ada.api(Method::GET, "/events").stream())).await;
    assert!(streams.iter().all(|stream| stream.status == 200));
    // A request that took a place, if only for a moment, would find none.
    nine_heads().await;
    ada.get("/events").await.assert_status(429);
    drop(streams);
}
