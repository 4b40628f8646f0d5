//! The OpenAPI document: every route in it works as documented, and the document in the repository is the current one.

use std::collections::HashSet;

use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

use crate::harness::{Client, Program, Response, TestApp, openapi_headers::violations, tests_on_both_profiles};

tests_on_both_profiles! {
    every_route_answers_json_with_its_charset_and_a_request_id,
    every_answer_of_a_route_is_documented,
    every_operation_has_an_explicit_id_and_its_errors,
    every_schema_has_an_explicit_name_and_an_example,
    every_call_of_the_contract_is_documented,
    every_documented_header_is_sent with [("CORS_ORIGINS", super::ORIGIN)],
}

/// An origin whose pages may call the service, so that its responses have the headers of CORS too.
pub(crate) const ORIGIN: &str = "https://admin.example.org";

/// An operation: the method, the path with values for its parameters, and its documentation.
pub(crate) struct Operation {
    pub(crate) method: Method,
    template: String,
    pub(crate) path: String,
    pub(crate) docs: Value,
}

impl Operation {
    /// Whether the response is an event stream, which is not JSON.
    pub(crate) fn streams(&self) -> bool {
        self.docs["responses"]["200"]["content"]["text/event-stream"].is_object()
    }
}

async fn operations(client: &Client) -> Vec<Operation> {
    operations_of(&document(client).await)
}

/// The served document.
pub(crate) async fn document(client: &Client) -> Value {
    client.call(Method::GET, "/openapi.json").send().await.assert_status(200).json
}

/// The operations of a document.
pub(crate) fn operations_of(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (template, methods) in document["paths"].as_object().expect("paths") {
        let path = template.replace("{id}", "4000000").replace("{cid}", "4000000").replace("{file}", "x");
        assert!(!path.contains('{'), "this test has no value for a parameter of {template}");
        for (method, docs) in methods.as_object().expect("methods") {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            operations.push(Operation { method, template: template.clone(), path: path.clone(), docs: docs.clone() });
        }
    }
    assert!(operations.len() > 25, "{} operations", operations.len());
    operations
}

/// The responses without a body, with one, with a malformed one, and with one of another type.
async fn answers(client: &Client, operation: &Operation) -> Vec<Response> {
    let call = || client.call(operation.method.clone(), &operation.path);
    vec![
        call().send().await,
        call().json(&json!({})).send().await,
        call().body("{").send().await,
        call().body_as("text/plain", "x").send().await,
    ]
}

/// [`Response`] checks each response: JSON, charset, request id and complete problems.
async fn every_route_answers_json_with_its_charset_and_a_request_id(app: &TestApp) {
    let ada = app.verified("ada").await;
    for operation in operations(&app.client()).await {
        for client in [app.client(), app.client().with_token("rubbish"), ada.log_in_again().await.bearer()] {
            for response in answers(&client, &operation).await {
                assert!(
                    !response.json.is_null() || (response.is_event_stream() && operation.streams()),
                    "{}",
                    response.to
                );
                assert!(response.header("content-type").ends_with("charset=utf-8"), "{}", response.to);
                assert_ne!(response.status, 204, "{}", response.to);
            }
        }
    }
}

async fn every_answer_of_a_route_is_documented(app: &TestApp) {
    let (ada, admin) = (app.verified("ada").await, app.admin().await);
    for operation in operations(&app.client()).await {
        let statuses: Vec<_> = operation.docs["responses"].as_object().expect("responses").keys().cloned().collect();
        for client in [app.client(), ada.log_in_again().await.bearer(), admin.log_in_again().await.bearer()] {
            for response in answers(&client, &operation).await {
                let is_documented = statuses.contains(&response.status.to_string());
                assert!(is_documented, "{} answered {}, documented are {statuses:?}", response.to, response.status);
            }
        }
    }
}

async fn every_operation_has_an_explicit_id_and_its_errors(app: &TestApp) {
    let (mut ids, mut faults) = (Vec::new(), Vec::new());
    for operation in operations(&app.client()).await {
        let name = format!("{} {}", operation.method, operation.template);
        let id = operation.docs["operationId"].as_str().unwrap_or_default().to_owned();
        // The id of an endpoint without an explicit one is the path of its function, with dots.
        let is_explicit = id.contains('_') && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !is_explicit || ids.contains(&id) {
            faults.push(format!("{name} has no `operation_id` of its own, <resource>_<verb>: {id:?}"));
        }
        ids.push(id);
        if !operation.docs["summary"].is_string() {
            faults.push(format!("{name} has no summary"));
        }
        faults.extend(
            undocumented(&operation).into_iter().map(|status| format!("{name} {status} has no body of its type")),
        );
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

async fn every_schema_has_an_explicit_name_and_an_example(app: &TestApp) {
    let mut faults = Vec::new();
    let document = app.client().call(Method::GET, "/openapi.json").send().await.assert_status(200).json;
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        // The name of a schema without an explicit one is the path of its type, with dots; that of a name's second type ends with a digit.
        if !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            faults.push(format!("the schema {name} has no name of its own"));
        }
        if !schema["example"].is_object() && !schema["examples"].is_array() && !composed(schema) {
            faults.push(format!("the schema {name} has no example"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The statuses whose body is not documented.
fn undocumented(operation: &Operation) -> Vec<String> {
    let responses = operation.docs["responses"].as_object().expect("responses");
    let is_documented = |status: &str, response: &Value| {
        let is_readiness = operation.template == "/ready" && status == "503";
        let is_problem = status.starts_with(['4', '5']) && !is_readiness;
        let kind = match status {
            _ if is_problem => "application/problem+json",
            "200" if operation.streams() => "text/event-stream",
            _ => "application/json",
        };
        response["content"][kind].is_object()
    };
    let without = responses.iter().filter(|(status, response)| !is_documented(status, response));
    without.map(|(status, _)| status.clone()).collect()
}

/// Whether the parts of a schema have examples, or the schema lists its values.
fn composed(schema: &Value) -> bool {
    let has_example = |part: &Value| ["$ref", "example", "examples"].iter().any(|key| part.to_string().contains(key));
    schema["properties"].as_object().is_some_and(|parts| parts.values().any(has_example)) || schema["enum"].is_array()
}

async fn every_call_of_the_contract_is_documented(app: &TestApp) {
    let mut documented: Vec<_> = operations(&app.client())
        .await
        .into_iter()
        .map(|operation| format!("{} {}", operation.method, operation.template.trim_end_matches('/')))
        .collect();
    documented.sort_unstable();
    let contract = [
        "DELETE /api/v1/auth/logins/{id}",
        "DELETE /api/v1/posts/{id}",
        "DELETE /api/v1/posts/{id}/comments/{cid}",
        "DELETE /api/v1/reminders/{id}",
        "DELETE /api/v1/sessions/{id}",
        "DELETE /api/v1/users/{id}",
        "GET ",
        "GET /api/v1/auth/logins",
        "GET /api/v1/auth/me",
        "GET /api/v1/events",
        "GET /api/v1/posts",
        "GET /api/v1/posts/{id}",
        "GET /api/v1/posts/{id}/comments",
        "GET /api/v1/reminders",
        "GET /api/v1/reminders/{id}",
        "GET /api/v1/sessions",
        "GET /api/v1/sessions/count",
        "GET /api/v1/sessions/dominant_emotion_chart",
        "GET /api/v1/sessions/intensity_chart",
        "GET /api/v1/sessions/{id}",
        "GET /api/v1/sessions/{id}/history",
        "GET /api/v1/users",
        "GET /api/v1/users/me",
        "GET /api/v1/users/me/export",
        "GET /api/v1/users/{id}",
        "GET /health",
        "GET /ready",
        "PATCH /api/v1/sessions/{id}/end",
        "PATCH /api/v1/users/{id}/activate",
        "PATCH /api/v1/users/{id}/deactivate",
        "PATCH /api/v1/users/{id}/suspend",
        "POST /api/v1/auth/change-password",
        "POST /api/v1/auth/login",
        "POST /api/v1/auth/logout",
        "POST /api/v1/auth/logout-all",
        "POST /api/v1/auth/refresh",
        "POST /api/v1/auth/register",
        "POST /api/v1/auth/request-password-reset",
        "POST /api/v1/auth/reset-password",
        "POST /api/v1/auth/verify-otp",
        "POST /api/v1/posts",
        "POST /api/v1/posts/{id}/comments",
        "POST /api/v1/reminders",
        "POST /api/v1/sessions",
        "POST /api/v1/sessions/diagnosis",
        "POST /api/v1/sessions/{id}/detections",
        "POST /api/v1/sessions/{id}/feedback",
        "POST /api/v1/sessions/{id}/process_emotion",
        "POST /api/v1/users/me/email",
        "POST /api/v1/users/me/email/confirm",
        "POST /api/v1/users/me/erase",
        "PUT /api/v1/posts/{id}",
        "PUT /api/v1/posts/{id}/comments/{cid}",
        "PUT /api/v1/reminders/{id}",
        "PUT /api/v1/users/{id}",
    ];
    for call in contract {
        assert!(documented.iter().any(|one| one == call), "{call} is not among {documented:#?}");
    }
}

/// The harness fails a response with a header that the document does not name. Here, a response has each that it names.
async fn every_documented_header_is_sent(app: &TestApp) {
    let ada = app.verified("ada").await;
    let call = |method: Method, path: &str| ada.api(method, path).header("origin", ORIGIN);
    for _ in 0..2 {
        call(Method::POST, "/posts").json(&json!({ "content": "x".repeat(800) })).send().await.assert_status(201);
    }
    let log_in = |password: &str| {
        call(Method::POST, "/auth/login").json(&json!({ "email": ada.email, "password": password })).send()
    };
    let mut responses = vec![
        log_in(&ada.password).await.assert_status(200),
        call(Method::HEAD, "/posts").header("accept-encoding", "gzip").send().await.assert_status(200),
        call(Method::GET, "/posts?limit=1").send().await.assert_status(200),
        call(Method::GET, "/users/me/export").send().await.assert_status(200),
        call(Method::GET, "/events").send().await.assert_status(200),
        call(Method::POST, "/posts").body("{}").header("content-encoding", "gzip").send().await.assert_status(415),
    ];
    while responses.len() < 50 && responses.iter().all(|response| response.status != 429) {
        responses.push(log_in("another password").await);
    }
    let sent: HashSet<_> = responses.iter().flat_map(|response| response.headers.keys()).collect();
    for operation in operations(&app.client()).await {
        for response in operation.docs["responses"].as_object().expect("responses").values() {
            for name in response["headers"].as_object().expect("headers").keys() {
                let is_sent = sent.iter().any(|one| name.eq_ignore_ascii_case(one.as_str()));
                assert!(is_sent, "{name} is documented at {}, and no response has it", operation.template);
            }
        }
    }
}

#[test]
fn headers_that_differ_from_the_document_are_found() {
    let mut headers = HeaderMap::new();
    let missing = violations(&Method::GET, "/health", 200, &headers);
    assert!(missing.contains(&"X-Request-Id is required and missing".to_owned()), "{missing:?}");
    headers.insert("cache-control", "public".parse().expect("a value"));
    headers.insert("x-powered-by", "chance".parse().expect("a value"));
    let found = violations(&Method::HEAD, "/health/?x=1", 200, &headers);
    for violation in ["x-powered-by is not documented", "cache-control has the undocumented value \"public\""] {
        assert!(found.contains(&violation.to_owned()), "{violation} is not among {found:?}");
    }
    let of_another = violations(&Method::GET, "/api/v1/users/7", 200, &headers);
    assert!(of_another.contains(&"x-powered-by is not documented".to_owned()), "{of_another:?}");
    assert!(violations(&Method::GET, "/docs", 200, &headers).is_empty(), "a page is not documented");
}

/// A change of the contract is visible in review.
#[test]
fn the_document_in_the_repository_is_what_the_program_prints() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread");
    let printed = runtime.block_on(Program::with_only(&[]).run(&["openapi"], ""));
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json"));
    let kept = kept.expect("docs/openapi.json is there");
    assert!(kept == printed.output, "run `cargo run -- openapi > docs/openapi.json` and review the change");
}
