//! A server for the edge's own tests, on real sockets. Every response is checked for what all responses must have.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Method, RequestBuilder, header::HeaderMap};
use salvo::{Router, server::ServerHandle};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

use super::{
    connections::open::{ConnectionLimits, OpenConnections},
    edge::{CorsPolicy, HttpConfig},
    router::{public_routes, public_service},
    server::{Limits, Server},
};

/// A server that runs until this is dropped.
pub(crate) struct Served {
    pub(crate) address: std::net::SocketAddr,
    handle: ServerHandle,
    client: Client,
}

/// A response, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

/// The settings of a new installation, with small limits and a known request id.
pub(crate) fn http_config() -> HttpConfig {
    let limits = Limits { body_bytes: 1 << 20, request: Duration::from_millis(300), ..Limits::default() };
    let new_request_id = Arc::new(|| Uuid::from_u128(7));
    let metrics = Default::default();
    let connections = ConnectionLimits { max: 100, share: 100, ..ConnectionLimits::default() };
    HttpConfig {
        limits,
        connections,
        admission: Default::default(),
        cors: CorsPolicy::Any,
        proxies: Default::default(),
        new_request_id,
        metrics,
        stopping: Default::default(),
    }
}

impl Served {
    /// Serves these routes.
    pub(crate) async fn api(routes: fn() -> Router) -> Self {
        Self::with(routes, http_config()).await
    }

    pub(crate) async fn with(routes: fn() -> Router, config: HttpConfig) -> Self {
        let service = public_service(public_routes(routes), &config);
        let connections = OpenConnections::new(config.connections.clone(), config.metrics.connections.clone());
        let server = Server::bind("PORT", ([127, 0, 0, 1], 0).into(), service, config.limits, connections)
            .await
            .expect("a free port");
        let (address, handle) = (server.address, server.handle.inner.clone());
        tokio::spawn(server.run());
        Self { address, handle, client: Client::new() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// Posts this text as `application/json`.
    pub(crate) async fn post(&self, path: &str, json: impl Into<String>) -> Answer {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        answer(request.body(json.into())).await
    }

    /// Writes these bytes and reads until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        self.raw_until(bytes, |_| false).await
    }

    /// Sends these bytes and reads what the server sends until that is enough or the server closes.
    pub(crate) async fn raw_until(&self, bytes: &[u8], is_enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.expect("the server listens");
        stream.write_all(bytes).await.expect("the server reads");
        let mut read = Vec::new();
        while !is_enough(&read) && stream.read_buf(&mut read).await.expect("the server answers") > 0 {}
        read
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.handle.stop_forceful();
    }
}

/// Sends a request whose response must be a JSON document, like every response under `/api`.
pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let kind = headers.get("content-type").expect("a content type").to_str().expect("readable");
    let expected =
        if status < 400 { "application/json; charset=utf-8" } else { "application/problem+json; charset=utf-8" };
    assert_eq!(kind, expected);
    assert!(headers.contains_key("x-request-id"), "a response without X-Request-Id");
    let json: Value = response.json().await.expect("a JSON document");
    if status >= 400 {
        assert_eq!(json["status"], status);
        assert!(json["detail"].is_string() && json["type"].as_str().is_some_and(|uri| uri.starts_with("/problems/")));
        assert_eq!(json["request_id"], headers["x-request-id"].to_str().expect("readable"));
    }
    Answer { status, headers, json }
}

impl Answer {
    /// The text of a header; empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("readable"))
    }

    /// The fields that are not valid: `body.email: is missing`.
    pub(crate) fn invalid_fields(&self) -> Vec<String> {
        let errors = self.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors
            .iter()
            .map(|error| format!("{}: {}", path(&error["loc"]), error["msg"].as_str().expect("text")))
            .collect()
    }
}

fn path(loc: &Value) -> String {
    let step = |step: &Value| step.as_str().map_or_else(|| step.to_string(), str::to_owned);
    loc.as_array().expect("a list").iter().map(step).collect::<Vec<_>>().join(".")
}
