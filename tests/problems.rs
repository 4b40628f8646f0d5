//! Errors: bad input of every kind is answered with a 4xx problem that names what is wrong, and stores nothing.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Person, Response, TestApp, snapshot, tests_on_both_profiles};

tests_on_both_profiles! {
    an_unknown_path_is_not_found,
    a_wrong_method_is_answered_with_the_right_ones,
    a_body_that_is_not_json_is_rejected_and_stores_nothing,
    a_body_of_another_type_is_rejected,
    a_request_without_a_body_is_not_rejected_for_its_type,
    a_body_of_ten_megabytes_is_rejected_and_stores_nothing,
    a_megabyte_of_nested_arrays_is_rejected_and_stores_nothing,
    a_body_limit_can_be_set with [("BODY_LIMIT_BYTES", "2048")],
    a_nul_is_rejected_in_every_field,
    a_text_that_shows_nothing_is_rejected_where_others_read_it,
    an_error_does_not_repeat_the_input,
    no_response_reveals_internals,
    a_request_id_is_kept_or_generated_and_echoed,
    a_connection_that_is_not_http_is_closed,
    a_client_that_is_too_slow_is_disconnected with [("HEADER_TIMEOUT_SECONDS", "1"), ("REQUEST_TIMEOUT_SECONDS", "2")],
    a_slash_at_the_end_of_a_path_makes_no_difference,
}

async fn an_unknown_path_is_not_found(app: &TestApp) {
    let unknown = app.client().get("/nowhere").await;
    snapshot!(unknown, @r#"
    404 {
      "detail": "There is nothing at this path.",
      "request_id": "[request id]",
      "status": 404,
      "title": "Not Found",
      "type": "/problems/not-found"
    }
    "#);
    for path in ["/nowhere", "/api", "/api/v1", "/api/v2/auth/me", "/api/v1/auth", "/api/v1/auth/me/x", "/%00", "/../x"]
    {
        app.client().call(Method::GET, path).send().await.assert_status(404);
    }
}

async fn a_wrong_method_is_answered_with_the_right_ones(app: &TestApp) {
    for (method, path, allow) in [
        (Method::GET, "/auth/login", "OPTIONS, POST"),
        (Method::DELETE, "/auth/me", "GET, HEAD, OPTIONS"),
        (Method::PUT, "/sessions/", "GET, HEAD, OPTIONS, POST"),
        (Method::POST, "/users/7", "DELETE, GET, HEAD, OPTIONS, PUT"),
    ] {
        let rejected = app.client().api(method, path).send().await.assert_status(405);
        let mut methods: Vec<_> = rejected.header("allow").split(", ").collect();
        methods.sort_unstable();
        assert_eq!(methods.join(", "), allow, "{path}");
        assert_eq!(rejected.kind(), "method-not-allowed");
    }
}

/// The calls with a body that Ada may make.
fn calls_with_a_body(ada: &Person) -> Vec<(Method, String)> {
    let post =
        ["register", "verify-otp", "login", "refresh", "request-password-reset", "reset-password", "change-password"];
    let mut calls: Vec<_> = post.iter().map(|call| (Method::POST, format!("/auth/{call}"))).collect();
    calls.push((Method::POST, "/sessions/".to_owned()));
    calls.push((Method::PUT, format!("/users/{}", ada.id)));
    calls
}

async fn expect_nothing_stored(app: &TestApp, ada: &Person, send: impl AsyncFn(Method, &str) -> Response, status: u16) {
    let before = app.row_counts().await;
    for (method, path) in calls_with_a_body(ada) {
        let response = send(method, &path).await;
        assert_eq!(response.status, status, "{} {}", response.to, response.text);
        assert!(response.detail().len() > 10, "{}", response.detail());
    }
    assert_eq!(app.row_counts().await, before);
}

async fn a_body_that_is_not_json_is_rejected_and_stores_nothing(app: &TestApp) {
    let ada = app.verified("ada").await;
    for (method, path) in calls_with_a_body(&ada).into_iter().filter(|(_, path)| path != "/sessions/") {
        let refused = ada.api(method, &path).body("").send().await.assert_status(422);
        assert_eq!(refused.invalid_fields(), ["body"], "{path}");
    }
    for broken in ["{", "{}{}", "nonsense", "{\"email\": }", "{'email': 'a@b.org'}", "[1,", "\u{feff}{}", "NaN"] {
        let send = async |method, path: &str| ada.api(method, path).body(broken).send().await;
        expect_nothing_stored(app, &ada, send, 422).await;
    }
    let send =
        async |method, path: &str| ada.api(method, path).body(b"{\"email\": \"\xff\xfe\"}".to_vec()).send().await;
    expect_nothing_stored(app, &ada, send, 422).await;
    for no_object in ["[]", "7", "\"text\"", "true", "null"] {
        let send = async |method, path: &str| ada.api(method, path).body(no_object).send().await;
        expect_nothing_stored(app, &ada, send, 422).await;
    }
}

async fn a_body_of_another_type_is_rejected(app: &TestApp) {
    let ada = app.verified("ada").await;
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"]
    {
        let send = async |method, path: &str| ada.api(method, path).body_as(kind, "{}").send().await;
        expect_nothing_stored(app, &ada, send, 415).await;
    }
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"] {
        ada.api(Method::POST, "/sessions/").body_as(kind, "{}").send().await.assert_status(201);
    }
}

async fn a_request_without_a_body_is_not_rejected_for_its_type(app: &TestApp) {
    let ada = app.verified("ada").await;
    let id = ada.start_session().await;
    for kind in ["text/plain", "application/json"] {
        ada.api(Method::GET, "/auth/me").header("content-type", kind).send().await.assert_status(200);
        ada.api(Method::PATCH, &format!("/sessions/{id}/end"))
            .header("content-type", kind)
            .send()
            .await
            .assert_status(200);
        let missing = app.client().api(Method::POST, "/auth/login").header("content-type", kind).send().await;
        assert_eq!(missing.status, 422, "{}", missing.text);
    }
    ada.api(Method::POST, "/auth/logout").header("content-type", "text/plain").send().await.assert_status(200);
}

async fn a_body_of_ten_megabytes_is_rejected_and_stores_nothing(app: &TestApp) {
    let ada = app.verified("ada").await;
    let large = format!("{{\"email\": \"{}\"}}", "x".repeat(10 << 20));
    let send = async |method, path: &str| ada.api(method, path).body(large.clone()).send().await;
    expect_nothing_stored(app, &ada, send, 413).await;
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
        transfer-encoding: chunked\r\n\r\n";
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let response = app.raw(format!("{head}{}0\r\n\r\n", chunk.repeat(160)).as_bytes()).await;
    assert!(response.starts_with("HTTP/1.1 413 "), "a body without a declared length: {response}");
}

async fn a_megabyte_of_nested_arrays_is_rejected_and_stores_nothing(app: &TestApp) {
    let ada = app.verified("ada").await;
    let half = (1 << 19) - 16;
    let deep = format!("{{\"email\":{}{}}}", "[".repeat(half), "]".repeat(half));
    for body in [deep, "[".repeat(1 << 20)] {
        let send = async |method, path: &str| ada.api(method, path).body(body.clone()).send().await;
        expect_nothing_stored(app, &ada, send, 422).await;
    }
    assert!(ada.is_logged_in().await, "the service still works");
}

async fn a_body_limit_can_be_set(app: &TestApp) {
    let call = |size: usize| {
        let body = json!({ "email": "a@b.org", "password": "x".repeat(size) });
        app.client().api(Method::POST, "/auth/login").json(&body)
    };
    call(1000).send().await.assert_status(401);
    let rejected = call(2048).send().await.assert_status(413);
    assert!(rejected.detail().contains("2048"), "{}", rejected.detail());
}

async fn a_nul_is_rejected_in_every_field(app: &TestApp) {
    let (ada, admin) = (app.verified("ada").await, app.admin().await);
    let before = app.row_counts().await;
    let mut body = app.person("bob").registration();
    for field in ["email", "password", "first_name", "last_name"] {
        let good = body[field].take();
        body[field] = format!("{}\0", good.as_str().expect("text")).into();
        let rejected = app.client().post("/auth/register", body.clone()).await.assert_status(422);
        assert_eq!(rejected.invalid_fields(), [format!("body.{field}")]);
        body[field] = good;
    }
    ada.put(&format!("/users/{}", ada.id), json!({ "first_name": "A\0" })).await.assert_status(422);
    ada.get("/sessions/1%00").await.assert_status(422);
    admin.get("/users/?query=%00").await.assert_status(422);
    assert_eq!(app.row_counts().await, before);
}

async fn a_text_that_shows_nothing_is_rejected_where_others_read_it(app: &TestApp) {
    let ada = app.verified("ada").await;
    let post = ada.post("/posts/", json!({ "content": "Hello" })).await.assert_status(201).json["id"].clone();
    let mut registration = app.person("bob").registration();
    let before = app.row_counts().await;
    for unseen in ["\u{200b}\u{2060}", "\u{3164}", " \u{ad}\u{feff} "] {
        registration["first_name"] = unseen.into();
        let reminder = json!({ "title": unseen, "reminder_time": "2091-03-04" });
        let calls = [
            ("/auth/register".to_owned(), registration.clone(), "body.first_name"),
            ("/posts/".to_owned(), json!({ "content": unseen }), "body.content"),
            (format!("/posts/{post}/comments"), json!({ "content": unseen }), "body.content"),
            ("/reminders/".to_owned(), reminder, "body.title"),
        ];
        for (path, body, field) in calls {
            let rejected = ada.post(&path, body).await.assert_status(422);
            assert_eq!(rejected.invalid_fields(), [field], "{path} {unseen:?}");
        }
    }
    assert_eq!(app.row_counts().await, before, "nothing is stored");
}

async fn an_error_does_not_repeat_the_input(app: &TestApp) {
    let marker = "Zanzibar-4711";
    for body in [
        json!({ "email": marker, "password": marker }),
        json!({ "email": [marker], "password": { marker: marker } }),
        json!({ marker: marker }),
    ] {
        let rejected = app.client().post("/auth/login", body).await.assert_status(422);
        assert!(!rejected.text.contains(marker), "{}", rejected.text);
    }
    let rejected =
        app.client().api(Method::POST, "/auth/login").body(format!("{{\"{marker}")).send().await.assert_status(422);
    assert!(!rejected.text.contains(marker), "{}", rejected.text);
}

async fn no_response_reveals_internals(app: &TestApp) {
    let ada = app.verified("ada").await;
    let words = ["select ", "insert ", "sqlx", "panicked", "actors/", "src/", "mailbox", "ractor", "salvo", "serde"];
    for response in [
        ada.get("/sessions/9223372036854775807").await,
        ada.get("/sessions/?skip=4294967295&limit=100").await,
        ada.get("/sessions/abc").await,
        ada.put(&format!("/users/{}", ada.id), json!({ "first_name": "'; drop table users; --" })).await,
        app.client().post("/auth/login", json!({ "email": "a'--@b.org", "password": "' or 1=1" })).await,
        app.client().post("/auth/verify-otp", json!({ "email": ada.email, "otp": "' or 1=1" })).await,
        app.client().get("/nowhere/%27").await,
    ] {
        let text = response.text.to_lowercase();
        let revealed = words.iter().find(|word| text.contains(**word));
        assert!(revealed.is_none(), "{revealed:?} in {}", response.text);
    }
    assert_eq!(ada.get("/auth/me").await.assert_status(200).json["first_name"], "'; drop table users; --");
}

async fn a_request_id_is_kept_or_generated_and_echoed(app: &TestApp) {
    let ask = async |id: &str| app.client().api(Method::GET, "/nowhere").header("x-request-id", id).send().await;
    let echoed = ask("my-request_1.2:3").await;
    assert_eq!(echoed.header("x-request-id"), "my-request_1.2:3");
    assert_eq!(echoed.json["request_id"], "my-request_1.2:3");
    for invalid in ["", "two words", "\u{e9}", &"x".repeat(1000)] {
        let generated = ask(invalid).await;
        let id = generated.header("x-request-id");
        assert!(
            id != invalid && (8..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()),
            "{id}"
        );
    }
    let (one, other) = (app.client().get("/nowhere").await, app.client().get("/nowhere").await);
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
}

async fn a_connection_that_is_not_http_is_closed(app: &TestApp) {
    for bytes in [
        &b"nonsense\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        let response = app.raw_cut(bytes).await;
        assert!(response.is_empty() || response.starts_with("HTTP/1.1 4"), "{response}");
    }
    let headers = (0..2000).map(|number| format!("x-{number}: {}\r\n", "y".repeat(50))).collect::<String>();
    let response = app.raw(format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n").as_bytes()).await;
    assert!(response.is_empty() || response.starts_with("HTTP/1.1 4"), "{response}");
    app.client().call(Method::GET, "/health").send().await.assert_status(200);
}

async fn a_client_that_is_too_slow_is_disconnected(app: &TestApp) {
    let started = tokio::time::Instant::now();
    let head = app.raw(b"GET /health HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 408"), "{head}");
    let body = b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let response = app.raw(body).await;
    assert!(!response.starts_with("HTTP/1.1 2"), "{response}");
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
    app.client().call(Method::GET, "/health").send().await.assert_status(200);
}

async fn a_slash_at_the_end_of_a_path_makes_no_difference(app: &TestApp) {
    let ada = app.verified("ada").await;
    for (path, status) in
        [("/auth/me", 200), ("/users/me", 200), ("/sessions", 200), ("/sessions/count", 200), ("/nowhere", 404)]
    {
        for path in [path.to_owned(), format!("{path}/")] {
            assert_eq!(ada.get(&path).await.status, status, "{path}");
        }
    }
    let id = ada.post("/sessions", json!({})).await.assert_status(201).number_of("id");
    ada.patch(&format!("/sessions/{id}/end/")).await.assert_status(200);
    app.client().post("/auth/login/", json!({ "email": ada.email, "password": ada.password })).await.assert_status(200);
}
