//! HTTP responses. What must hold for every response is checked on every response.

use reqwest::{Method, header::HeaderMap};
use serde_json::{Map, Value};

use super::openapi_headers::violations;

/// One response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
    /// The request, for failure messages: `POST /api/v1/auth/login`.
    pub(crate) to: String,
}

impl Response {
    /// Reads the response and checks what the app relies on. Of an event stream, which has no end, only the head is read.
    pub(crate) async fn read(method: &Method, path: &str, response: reqwest::Response) -> Self {
        let read = Self::try_read(method, path, response).await;
        read.unwrap_or_else(|error| panic!("{method} {path}: the body ends early: {error}"))
    }

    /// The same for a service that may stop before the response is complete.
    pub(super) async fn try_read(
        method: &Method,
        path: &str,
        response: reqwest::Response,
    ) -> Result<Self, reqwest::Error> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let is_stream =
            headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let text = if is_stream { String::new() } else { response.text().await? };
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        let response = Self { status, headers, text, json, to: format!("{method} {path}") };
        response.assert_request_id();
        let violations = violations(method, path, status, &response.headers);
        assert!(violations.is_empty(), "{} answered {status}: {violations:?}", response.to);
        // `/ready` answers 503 with the state of each part, not with a problem.
        if !is_stream && *method != Method::HEAD && path != "/ready" && (path.starts_with("/api") || status >= 400) {
            response.assert_json();
        }
        Ok(response)
    }

    /// Asserts the status and gives the response back.
    #[track_caller]
    pub(crate) fn assert_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} answered {} {}", self.to, self.status, self.text);
        self
    }

    /// A header's value; empty if the header is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether the body is an event stream.
    pub(crate) fn is_event_stream(&self) -> bool {
        self.header("content-type") == "text/event-stream; charset=utf-8"
    }

    /// The `detail` of a problem: the sentence that the app shows.
    #[track_caller]
    pub(crate) fn detail(&self) -> &str {
        self.json["detail"].as_str().unwrap_or_else(|| panic!("{} answered without a problem: {}", self.to, self.text))
    }

    /// The problem's type without its path: `otp-invalid` of `/problems/otp-invalid`.
    pub(crate) fn kind(&self) -> &str {
        self.json["type"].as_str().and_then(|kind| kind.strip_prefix("/problems/")).unwrap_or_default()
    }

    /// The fields that a 422 names, in its order: `body.email`.
    pub(crate) fn invalid_fields(&self) -> Vec<String> {
        let errors = self.json["errors"].as_array().cloned().unwrap_or_default();
        let step = |step: &Value| step.as_str().map_or_else(|| step.to_string(), str::to_owned);
        let path =
            |error: &Value| error["loc"].as_array().expect("a path").iter().map(step).collect::<Vec<_>>().join(".");
        errors.iter().map(path).collect()
    }

    /// The value of a field that is text.
    #[track_caller]
    pub(crate) fn text_of(&self, field: &str) -> String {
        self.json[field]
            .as_str()
            .unwrap_or_else(|| panic!("{} answered without a text `{field}`: {}", self.to, self.text))
            .to_owned()
    }

    /// The value of a field that is a whole number.
    #[track_caller]
    pub(crate) fn number_of(&self, field: &str) -> i64 {
        self.json[field]
            .as_i64()
            .unwrap_or_else(|| panic!("{} answered without a number `{field}`: {}", self.to, self.text))
    }

    /// Status and body for a snapshot. Ids, times, tokens, addresses and the request id are replaced by placeholders.
    pub(crate) fn redacted(&self) -> String {
        let body = serde_json::to_string_pretty(&redact("", &self.json)).expect("JSON");
        format!("{} {body}", self.status)
    }

    fn assert_request_id(&self) {
        let context = || format!("{} was answered without X-Request-Id: {} {}", self.to, self.status, self.text);
        assert!(!self.header("x-request-id").is_empty(), "{}", context());
    }

    fn assert_json(&self) {
        let kind = if self.status >= 400 { "application/problem+json" } else { "application/json" };
        let given = self.header("content-type");
        let context = || format!("{} answered {} as `{given}`: {}", self.to, self.status, self.text);
        assert!(given.starts_with(kind) && given.contains("charset=utf-8"), "{}", context());
        assert!(!self.json.is_null(), "no JSON: {}", context());
        if self.status >= 400 {
            self.assert_problem();
        }
    }

    fn assert_problem(&self) {
        let complete = self.json["type"].is_string()
            && self.json["title"].is_string()
            && self.json["status"] == self.status
            && self.json["detail"].is_string()
            && self.json["request_id"] == self.header("x-request-id");
        assert!(complete, "{} answered with an incomplete problem: {}", self.to, self.text);
        assert!(self.json["errors"].is_null() || self.status == 422, "{}: {}", self.to, self.text);
        assert_eq!(self.header("www-authenticate"), if self.status == 401 { "Bearer" } else { "" }, "{}", self.to);
        if matches!(self.status, 429 | 503) {
            let seconds: u32 = self.header("retry-after").parse().expect("Retry-After in seconds");
            assert!(seconds >= 1, "{}: Retry-After {seconds}", self.to);
        }
    }
}

/// Replaces ids, times, tokens and addresses by placeholders and sorts keys.
fn redact(key: &str, value: &Value) -> Value {
    match (key, value) {
        (_, Value::Object(map)) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by_key(|(key, _)| *key);
            Value::Object(keys.into_iter().map(|(key, value)| (key.clone(), redact(key, value))).collect::<Map<_, _>>())
        }
        (_, Value::Array(items)) => items.iter().map(|item| redact(key, item)).collect(),
        (_, Value::Null) => Value::Null,
        (id, Value::Number(_)) if id == "id" || id.ends_with("_id") => "[id]".into(),
        ("access_token" | "refresh_token", _) => "[token]".into(),
        ("created_at" | "updated_at" | "start_time" | "end_time" | "last_used_at", _) => "[time]".into(),
        ("email", _) => "[email]".into(),
        ("request_id", _) => "[request id]".into(),
        _ => value.clone(),
    }
}

/// Compares a response with the snapshot behind the `@`. Both profiles share one snapshot.
macro_rules! snapshot {
    ($response:expr, @$expected:literal) => {
        insta::allow_duplicates! { insta::assert_snapshot!($response.redacted(), @$expected) }
    };
}
pub(crate) use snapshot;
