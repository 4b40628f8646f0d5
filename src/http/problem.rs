//! What went wrong, as a client reads it: RFC 9457 `application/problem+json`, with `detail` always a string.

use std::{borrow::Cow, time::Duration};

use salvo::{
    Depot, Request, Response, Writer, async_trait,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    oapi::{Components, EndpointOutRegister, Operation, ToSchema},
    writing::Json,
};
use serde::Serialize;

use super::{layers::RequestId, openapi::may_answer};

/// The media type of every problem, with the charset that the app needs to be told.
pub const PROBLEM_JSON: &str = "application/problem+json; charset=utf-8";

/// A refusal or a failure, ready to be sent. Handlers and extractors return it; nothing else makes an error body.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
}

/// One field of the request that is not valid, and why.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FieldError {
    /// The way to the field, from `body`, `query`, `path` or `header` on.
    #[salvo(schema(example = json!(["body", "email"])))]
    pub loc: Vec<Loc>,
    /// What the field must be; never what was sent.
    #[salvo(schema(value_type = String, example = json!("is missing")))]
    pub msg: Cow<'static, str>,
}

/// One step on the way to a field: a name, or a place in a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[salvo(schema(inline = true))]
#[serde(untagged)]
pub enum Loc {
    /// A field's name.
    Name(Cow<'static, str>),
    /// A place in a list, from 0.
    Index(usize),
}

/// A refusal or a failure: RFC 9457 §3.1, extended by `errors` and `request_id`.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = Problem, example = json!({
    "type": "/problems/not-found",
    "title": "Not Found",
    "status": 404,
    "detail": "There is no such session.",
    "request_id": "019ab3f4-6d1e-7c52-9d5a-0a4b6f0f2c11"
})))]
struct Document {
    /// A stable URI reference to branch on.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'static str,
    /// The status again.
    status: u16,
    /// One sentence for a person.
    detail: Cow<'static, str>,
    /// Every field that is not valid; with status 422 only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// By which the logs find this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    /// Any status, with the kind by which a program tells it from others: `/problems/<kind>`.
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, kind, detail: detail.into(), errors: Vec::new(), retry_after: None }
    }

    /// 400 of the given kind, such as `otp-invalid`.
    pub fn bad_request(kind: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind, detail)
    }

    /// 401, with `WWW-Authenticate: Bearer`.
    pub fn unauthorized(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 403.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// 409.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// 413; `limit` in bytes.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("The body is larger than {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
    }

    /// 415.
    pub fn not_json() -> Self {
        let detail = "The body must be JSON, sent as application/json.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", detail)
    }

    /// 422. The sentence names no field, since the app reads words into it; `errors` names them all.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.len() {
            1 => Cow::Borrowed("1 field of the request is not valid."),
            many => format!("{many} fields of the request are not valid.").into(),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields", detail) }
    }

    /// 422 without a field to blame: the request is well-formed and yet refused.
    pub fn unprocessable(kind: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, kind, detail)
    }

    /// 429, and when to come back.
    pub fn too_many(retry_after: Duration) -> Self {
        let detail = "Too many attempts. Please wait before you try again.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", detail).retry_after(retry_after)
    }

    /// 500. What happened is in the log, under the request's id, and not here.
    pub fn internal() -> Self {
        let detail = "Something went wrong on our side; the log tells what, under this request_id.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// 503, and when to come back: a queue is full or something we depend on is down. Nothing was half-done.
    pub fn unavailable(retry_after: Duration) -> Self {
        let detail = "The service cannot do this right now. Please try again shortly.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(retry_after)
    }

    /// A status that some part of the framework has set without a word.
    pub fn bare(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found("There is nothing at this path."),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                status,
                "method-not-allowed",
                "This path does not take this method; Allow lists those it takes.",
            ),
            StatusCode::SERVICE_UNAVAILABLE => Self::unavailable(Duration::from_secs(1)),
            status if status.is_server_error() => Self { status, ..Self::internal() },
            status => Self::new(status, "refused", "The request was refused."),
        }
    }

    /// The same problem under another kind: `Problem::conflict("…").kind("last-admin")`.
    #[must_use]
    pub fn kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// The same problem with `Retry-After`, rounded up to whole seconds.
    #[must_use]
    pub fn retry_after(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }

    /// The same problem, naming these fields.
    #[must_use]
    pub fn with_errors(self, errors: Vec<FieldError>) -> Self {
        Self { errors, ..self }
    }

    /// The status it will be sent with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Registers the schema of every problem, `#/components/schemas/Problem`.
    pub fn schema(components: &mut Components) {
        Document::to_schema(components);
    }

    /// The fields that were refused.
    #[cfg(test)]
    pub(super) fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    fn write_headers(&self, res: &mut Response) {
        let headers = res.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
    }

    fn document(self, depot: &Depot) -> Document {
        Document {
            kind: format!("/problems/{}", self.kind),
            title: self.status.canonical_reason().unwrap_or("Problem"),
            status: self.status.as_u16(),
            detail: self.detail,
            errors: self.errors,
            request_id: RequestId::of(depot).map(str::to_owned),
        }
    }
}

#[async_trait]
impl Writer for Problem {
    async fn write(self, _req: &mut Request, depot: &mut Depot, res: &mut Response) {
        // Whatever had been written so far belongs to an answer that will not be given.
        res.take_body();
        res.status_code(self.status);
        self.write_headers(res);
        res.render(Json(self.document(depot)));
    }
}

impl EndpointOutRegister for Problem {
    /// What any endpoint may answer; extractors add what they refuse, endpoints what their rules refuse.
    fn register(components: &mut Components, operation: &mut Operation) {
        let always = [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE];
        may_answer(components, operation, &always);
    }
}

#[cfg(test)]
mod tests {
    use salvo::{Router, oapi::endpoint};
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Served, answer};

    #[endpoint]
    async fn hurry() -> Result<Json<()>, Problem> {
        Err(Problem::too_many(Duration::from_millis(1500)))
    }

    #[endpoint]
    async fn last_admin() -> Result<Json<()>, Problem> {
        Err(Problem::conflict("The last active admin cannot go.").kind("last-admin"))
    }

    fn routes() -> Router {
        Router::with_path("api")
            .push(Router::with_path("hurry").get(hurry))
            .push(Router::with_path("last").get(last_admin))
    }

    #[tokio::test]
    async fn a_problem_is_what_rfc_9457_says_and_a_program_can_branch_on_its_type() {
        let api = Served::api(routes).await;
        let answer = answer(api.get("/api/last").header("x-request-id", "abc")).await;
        assert_eq!(
            answer.json,
            json!({
                "type": "/problems/last-admin",
                "title": "Conflict",
                "status": 409,
                "detail": "The last active admin cannot go.",
                "request_id": "abc"
            })
        );
    }

    #[tokio::test]
    async fn retry_after_is_rounded_up_so_that_nobody_comes_back_too_early() {
        let api = Served::api(routes).await;
        let answer = answer(api.get("/api/hurry")).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, "2"));
    }

    #[test]
    fn the_sentence_of_a_422_names_no_field() {
        let loc = vec![Loc::Name("body".into()), Loc::Name("new_password".into())];
        let problem = Problem::invalid(vec![FieldError { loc, msg: "is missing".into() }]);
        assert_eq!(problem.detail, "1 field of the request is not valid.");
    }
}
