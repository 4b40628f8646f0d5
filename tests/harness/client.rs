//! HTTP requests, as the app sends them.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use reqwest::{
    Method, RequestBuilder,
    header::{HeaderName, HeaderValue},
};
use serde_json::Value;

use super::{EventStream, Response, test_env::TestEnv};

/// A client at one IP address, with or without a token.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    /// The IP address in the `X-Forwarded-For` of every request.
    pub(crate) ip: String,
    token: Option<String>,
    pub(super) env: Arc<TestEnv>,
}

impl Client {
    pub(super) fn new(http: reqwest::Client, service: SocketAddr, ip: &str, env: Arc<TestEnv>) -> Self {
        Self { http, base: format!("http://{service}"), ip: ip.to_owned(), token: None, env }
    }

    /// The same client with this bearer token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same client, which calls another service.
    pub(crate) fn at(&self, service: SocketAddr) -> Self {
        Self { base: format!("http://{service}"), ..self.clone() }
    }

    /// Sends a GET. Here and below, `path` is relative to `/api/v1`. Like the app, it sends a content type with a GET.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.api(Method::GET, path).header("content-type", "application/json").send().await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Response {
        self.api(Method::POST, path).json(&body).send().await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Response {
        self.api(Method::PUT, path).json(&body).send().await
    }

    pub(crate) async fn patch(&self, path: &str) -> Response {
        self.api(Method::PATCH, path).send().await
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.api(Method::DELETE, path).send().await
    }

    /// A request below `/api/v1`, which the test completes and sends.
    pub(crate) fn api(&self, method: Method, path: &str) -> Call {
        self.call(method, &format!("/api/v1{path}"))
    }

    /// A request to any path, which the test completes and sends.
    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        request = request.header("x-forwarded-for", &self.ip).header("user-agent", "Tests/1.0");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        Call { request, method, path: path.to_owned(), env: Arc::clone(&self.env) }
    }
}

/// A request that is not yet sent.
pub(crate) struct Call {
    request: RequestBuilder,
    method: Method,
    path: String,
    env: Arc<TestEnv>,
}

impl Call {
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        // Replaces a header that the client sets for every request.
        let name: HeaderName = name.parse().expect("a header's name");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
        Self { request: self.request.headers([(name, value)].into_iter().collect()), ..self }
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        Self { request: self.request.json(body), ..self }
    }

    /// Sets these bytes as the body, with the content type of JSON.
    pub(crate) fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self { request: self.request.header("content-type", "application/json").body(body), ..self }
    }

    /// Sets these bytes as the body, with this content type.
    pub(crate) fn body_as(self, kind: &str, body: impl Into<reqwest::Body>) -> Self {
        Self { request: self.request.header("content-type", kind).body(body), ..self }
    }

    /// Sends the request and opens the event stream in the response.
    pub(crate) async fn stream(self) -> EventStream {
        let Self { request, method, path, .. } = self;
        let response = request.send().await.unwrap_or_else(|error| panic!("{method} {path}: no response: {error:?}"));
        EventStream::new(response)
    }

    /// Sends the request to a service that may have stopped; `None` if there is no complete response.
    pub(crate) async fn try_send(self) -> Option<Response> {
        self.try_answer().await.ok()
    }

    /// The same, with the cause.
    pub(crate) async fn try_answer(self) -> Result<Response, reqwest::Error> {
        let Self { request, method, path, .. } = self;
        Response::try_read(&method, &path, request.send().await?).await
    }

    /// Sends the request. Panics on a status of 500 and above, unless the test allows failures.
    pub(crate) async fn send(self) -> Response {
        let Self { request, method, path, env } = self;
        let response = request.send().await.unwrap_or_else(|error| panic!("{method} {path}: no response: {error:?}"));
        let response = Response::read(&method, &path, response).await;
        let allowed = response.status < 500 || env.failures_allowed.load(Ordering::Relaxed);
        assert!(allowed, "{} failed: {} {}", response.to, response.status, response.text);
        response
    }
}
