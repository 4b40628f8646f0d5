//! The OpenAPI document: every route of it, and that the one in the repository is the one that is served.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Program, TestApp, stories};

stories! {
    every_route_answers_json_with_its_charset_and_a_request_id,
    every_answer_of_a_route_is_documented,
    every_operation_has_an_id_an_example_and_its_errors,
    every_call_of_the_contract_is_documented,
}

/// One operation: the method, the path with its parameters filled in, and what the document says.
struct Operation {
    method: Method,
    template: String,
    path: String,
    said: Value,
}

async fn operations(client: &Client) -> Vec<Operation> {
    let document = client.call(Method::GET, "/openapi.json").send().await.is(200).json;
    let mut operations = Vec::new();
    for (template, methods) in document["paths"].as_object().expect("paths") {
        let path = template.replace("{id}", "4000000").replace("{file}", "x");
        assert!(!path.contains('{'), "a parameter that this test does not know: {template}");
        for (method, said) in methods.as_object().expect("methods") {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            operations.push(Operation { method, template: template.clone(), path: path.clone(), said: said.clone() });
        }
    }
    assert!(operations.len() > 25, "{} operations", operations.len());
    operations
}

/// Calls it in several ways: without and with a body, and with one that is broken.
async fn answers(client: &Client, operation: &Operation) -> Vec<Answer> {
    let call = || client.call(operation.method.clone(), &operation.path);
    vec![
        call().send().await,
        call().json(&json!({})).send().await,
        call().body("{").send().await,
        call().body_as("text/plain", "x").send().await,
    ]
}

/// [`Answer`] itself checks each: JSON, charset, request id, and problems that are whole.
async fn every_route_answers_json_with_its_charset_and_a_request_id(app: &TestApp) {
    let ada = app.verified("ada").await;
    for operation in operations(&app.client()).await {
        for client in [app.client(), app.client().bearing("rubbish"), ada.logged_in().await.bearer()] {
            for answer in answers(&client, &operation).await {
                assert!(!answer.json.is_null(), "{}", answer.to);
                assert!(answer.header("content-type").ends_with("charset=utf-8"), "{}", answer.to);
                assert_ne!(answer.status, 204, "{}", answer.to);
            }
        }
    }
}

async fn every_answer_of_a_route_is_documented(app: &TestApp) {
    let (ada, admin) = (app.verified("ada").await, app.admin().await);
    for operation in operations(&app.client()).await {
        let statuses: Vec<_> = operation.said["responses"].as_object().expect("responses").keys().cloned().collect();
        for client in [app.client(), ada.logged_in().await.bearer(), admin.logged_in().await.bearer()] {
            for answer in answers(&client, &operation).await {
                let told = statuses.contains(&answer.status.to_string());
                assert!(told, "{} answered {}, documented are {statuses:?}", answer.to, answer.status);
            }
        }
    }
}

async fn every_operation_has_an_id_an_example_and_its_errors(app: &TestApp) {
    let mut ids = Vec::new();
    for operation in operations(&app.client()).await {
        let Operation { method, template, said, .. } = operation;
        let name = format!("{method} {template}");
        let id = said["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no id")).to_owned();
        assert!(!ids.contains(&id) && !id.contains([':', '.', ' ']), "{name}: {id}");
        ids.push(id);
        assert!(said["summary"].is_string(), "{name} does not say what it does");
        for (status, response) in said["responses"].as_object().expect("responses") {
            let kind = if status.starts_with(['4', '5']) && template != "/ready" {
                "application/problem+json"
            } else {
                "application/json"
            };
            assert!(response["content"][kind].is_object(), "{name} {status} has no {kind}");
        }
    }
    let document = app.client().call(Method::GET, "/openapi.json").send().await.is(200).json;
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        let has_example = schema["example"].is_object() || schema["examples"].is_array() || composed(schema);
        assert!(has_example, "{name} has no example");
    }
}

/// A schema that is put together of others shows their examples.
fn composed(schema: &Value) -> bool {
    let parts = schema["properties"].as_object();
    parts.is_some_and(|parts| parts.values().any(|part| part["$ref"].is_string() || part["items"]["$ref"].is_string()))
        || schema["enum"].is_array()
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
        "DELETE /api/v1/sessions/{id}",
        "DELETE /api/v1/users/{id}",
        "GET ",
        "GET /api/v1/auth/logins",
        "GET /api/v1/auth/me",
        "GET /api/v1/sessions",
        "GET /api/v1/sessions/count",
        "GET /api/v1/sessions/{id}",
        "GET /api/v1/users",
        "GET /api/v1/users/me",
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
        "POST /api/v1/sessions",
        "PUT /api/v1/users/{id}",
    ];
    for call in contract {
        assert!(documented.iter().any(|one| one == call), "{call} is not among {documented:#?}");
    }
}

/// A change of the contract shows in review: `faceofmind openapi > docs/openapi.json`.
#[test]
fn the_document_in_the_repository_is_what_the_program_prints() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread");
    let printed = runtime.block_on(Program::with(&[]).run(&["openapi"], ""));
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json"));
    let kept = kept.expect("docs/openapi.json is there");
    assert!(kept == printed.output, "run `cargo run -- openapi > docs/openapi.json` and look at what has changed");
}
