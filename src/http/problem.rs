//! The body of every error: RFC 9457 `application/problem+json`, with `detail` always a string. [`super::errors`] has the texts.

use std::{borrow::Cow, fmt, time::Duration};

use salvo::{
    Depot, Request, Response, Writer, async_trait,
    http::{
        HeaderValue, StatusCode,
        header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    oapi::{Components, Content, EndpointOutRegister, Operation, Ref, RefOr, Response as Described, ToSchema},
    writing::Json,
};
use serde::Serialize;

use super::{problem_type::ProblemType, request_id::RequestId};

/// The media type of every problem. The app reads Latin-1 where a charset is missing.
pub const PROBLEM_JSON: &str = "application/problem+json; charset=utf-8";

/// An error, ready to be sent. Handlers and extractors return it; no other code makes an error body.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    status: StatusCode,
    kind: ProblemType,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
}

/// One field of the request that is not valid, and why.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[salvo(schema(name = "FieldError"))]
pub struct FieldError {
    /// The path to the field, which begins with `body`, `query`, `path` or `header`.
    #[salvo(schema(example = json!(["body", "email"])))]
    pub loc: Vec<Loc>,
    /// What the field must be. It never repeats the value.
    #[salvo(schema(value_type = String, example = json!("is missing")))]
    pub msg: Cow<'static, str>,
}

impl FieldError {
    /// The field `name` of `body`, `path` or `header`.
    pub fn new(place: &'static str, name: impl Into<Cow<'static, str>>, msg: impl Into<Cow<'static, str>>) -> Self {
        Self { loc: vec![Loc::Name(place.into()), Loc::Name(name.into())], msg: msg.into() }
    }
}

/// The field without the place, as a person calls it, and what it must be: `email: is missing`, `3.emotion: is missing`.
impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.loc.len() > 1 { &self.loc[1..] } else { &self.loc };
        let name: Vec<_> = name.iter().map(ToString::to_string).collect();
        write!(f, "{}: {}", name.join("."), self.msg)
    }
}

/// One step of the path to a field: a name, or an index in a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[salvo(schema(inline = true))]
#[serde(untagged)]
pub enum Loc {
    /// A field's name.
    Name(Cow<'static, str>),
    /// An index in a list, from 0.
    Index(usize),
}

impl fmt::Display for Loc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

/// An error: RFC 9457 §3.1, extended by `errors` and `request_id`.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Problem", example = json!({
    "type": "/problems/not-found",
    "title": "Not Found",
    "status": 404,
    "detail": "There is no such session.",
    "request_id": "019ab3f4-6d1e-7c52-9d5a-0a4b6f0f2c11"
})))]
struct Document {
    #[serde(rename = "type")]
    kind: ProblemType,
    /// The standard phrase of the status.
    title: &'static str,
    /// The status of the response.
    status: u16,
    /// One sentence for a person.
    detail: Cow<'static, str>,
    /// Every field that is not valid. Present with status 422 only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// The id of this request in the logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    /// A problem with the status of its type.
    pub fn new(kind: ProblemType, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status: kind.status(), kind, detail: detail.into(), errors: Vec::new(), retry_after: None }
    }

    /// The same problem with `Retry-After`, rounded up to whole seconds. A 429 also says it in `detail`.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            self.detail = format!("{} Please wait {}.", self.detail, wait(whole_seconds(after))).into();
        }
        Self { retry_after: Some(after), ..self }
    }

    /// The same problem, whose `detail` names no field when it would hold this word.
    #[must_use]
    pub fn hide_fields(mut self, word: &str) -> Self {
        if self.kind == ProblemType::InvalidFields && self.detail.contains(word) {
            self.detail = match self.errors.len() {
                1 => "1 field of the request is not valid.".into(),
                count => format!("{count} fields of the request are not valid.").into(),
            };
        }
        self
    }

    /// The same problem with these fields.
    #[must_use]
    pub fn with_errors(self, errors: Vec<FieldError>) -> Self {
        Self { errors, ..self }
    }

    /// The same problem with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The fields that are not valid.
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
        if self.kind == ProblemType::EncodedBody {
            // RFC 9110 §15.5.16: 415 for a content coding says which ones are accepted.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(after)));
        }
    }

    fn document(self, depot: &Depot) -> Document {
        Document {
            kind: self.kind,
            title: self.status.canonical_reason().unwrap_or("Problem"),
            status: self.status.as_u16(),
            detail: self.detail,
            errors: self.errors,
            request_id: RequestId::of(depot).map(|id| id.as_str().to_owned()),
        }
    }
}

/// Rounds up to whole seconds, at least 1.
fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

/// A time in the largest unit that rounds it up by little: seconds below a minute, minutes below an hour, hours up to two days, then days.
fn wait(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let (unit, name) = match seconds {
        0..MINUTE => (1, "second"),
        // 59 minutes and a second are an hour, not 60 minutes.
        _ if seconds <= HOUR - MINUTE => (MINUTE, "minute"),
        _ if seconds <= 2 * DAY => (HOUR, "hour"),
        _ => (DAY, "day"),
    };
    match seconds.div_ceil(unit) {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    }
}

#[async_trait]
impl Writer for Problem {
    async fn write(self, req: &mut Request, depot: &mut Depot, res: &mut Response) {
        if self.status == StatusCode::GATEWAY_TIMEOUT && req.method().is_safe() {
            // A request that only reads may be repeated, whatever it left unfinished.
            return Self::timed_out().write(req, depot, res).await;
        }
        // The handler may have begun another body before it failed.
        res.take_body();
        res.status_code(self.status);
        self.write_headers(res);
        res.render(Json(self.document(depot)));
    }
}

impl EndpointOutRegister for Problem {
    /// The errors of every endpoint. Extractors add theirs, and endpoints those of their rules. 504, which only a write answers, is added to
    /// the document of all routes.
    fn register(components: &mut Components, operation: &mut Operation) {
        document_errors(components, operation, &[StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE]);
    }
}

/// Documents that an operation may answer with problems of these statuses.
pub fn document_errors(components: &mut Components, operation: &mut Operation, statuses: &[StatusCode]) {
    Document::to_schema(components);
    statuses.iter().for_each(|status| document_status(operation, *status));
}

/// Documents that an operation may answer with a problem of this status, where the document has the schema of problems.
pub fn document_status(operation: &mut Operation, status: StatusCode) {
    operation.responses.insert(status.as_str(), Described::new(default_description(status)));
}

/// Gives every error of an operation that has no content yet the body of a problem, so that an endpoint only has to say
/// `responses((status_code = 409, description = "…"))`.
pub fn document_problem_bodies(operation: &mut Operation) {
    for (status, response) in operation.responses.iter_mut() {
        if let RefOr::Type(response) = response
            && status.starts_with(['4', '5'])
            && response.contents.is_empty()
        {
            let content = Content::new(Ref::from_schema_name("Problem"));
            *response = std::mem::take(response).add_content("application/problem+json", content);
        }
    }
}

fn default_description(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "The request has no `Host` header or two, or the service cannot do what it asks",
        StatusCode::UNAUTHORIZED => "The bearer token is missing, malformed, expired or revoked",
        StatusCode::FORBIDDEN => "The user is not allowed to do this",
        StatusCode::REQUEST_TIMEOUT => "The body did not arrive in time",
        StatusCode::PAYLOAD_TOO_LARGE => "The body is too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "The body is not application/json, or it has a `Content-Encoding`",
        StatusCode::UNPROCESSABLE_ENTITY => "Some fields are not valid; `errors` names each",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts; `Retry-After` says when to try again",
        StatusCode::SERVICE_UNAVAILABLE => {
            "The service is too busy, or a dependency is unavailable; `Retry-After` says when to try again"
        }
        StatusCode::GATEWAY_TIMEOUT => {
            "The outcome is unknown: it may have been done. A repeat with the same `Idempotency-Key` does it at most once"
        }
        _ => "Internal error",
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
        Err(Problem::new(ProblemType::LastAdmin, "The last active admin cannot go."))
    }

    fn routes() -> Router {
        Router::with_path("api")
            .push(Router::with_path("hurry").get(hurry))
            .push(Router::with_path("last").get(last_admin))
    }

    #[tokio::test]
    async fn a_problem_follows_rfc_9457_and_a_program_can_branch_on_its_type() {
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
    async fn retry_after_is_rounded_up_so_that_no_client_returns_too_early() {
        let api = Served::api(routes).await;
        let answer = answer(api.get("/api/hurry")).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, "2"));
    }

    #[test]
    fn the_detail_of_a_422_names_each_field_and_its_fault() {
        let detail = |errors: &[FieldError]| Problem::invalid(errors.to_vec()).detail;
        let in_list = FieldError {
            loc: vec![Loc::Name("body".into()), Loc::Index(3), Loc::Name("emotion".into())],
            msg: "must not be blank".into(),
        };
        let whole = FieldError { loc: vec![Loc::Name("body".into())], msg: "must be a JSON object".into() };
        let errors = [FieldError::new("query", "limit", "must be a whole number"), in_list, whole];
        assert_eq!(
            detail(&errors),
            "limit: must be a whole number; 3.emotion: must not be blank; body: must be a JSON object"
        );
        let many = vec![FieldError::new("body", "email", "is missing"); 12];
        assert!(detail(&many).ends_with("email: is missing; and 2 more"));
        assert_eq!(detail(&many).matches("email").count(), 10);
    }

    #[test]
    fn fields_are_hidden_from_a_detail_that_the_app_searches() {
        let hidden = |name: &'static str| {
            Problem::invalid(vec![FieldError::new("body", name, "is missing")]).hide_fields("password").detail
        };
        assert_eq!(hidden("new_password"), "1 field of the request is not valid.");
        assert_eq!(hidden("otp"), "otp: is missing");
    }

    #[test]
    fn the_detail_of_a_429_says_how_long_to_wait() {
        for (seconds, said) in [
            (0.2, "1 second"),
            (1.5, "2 seconds"),
            (59.0, "59 seconds"),
            (59.5, "1 minute"),
            (61.0, "2 minutes"),
            (3540.0, "59 minutes"),
            (3541.0, "1 hour"),
            (3601.0, "2 hours"),
            (86_400.0, "24 hours"),
            (172_801.0, "3 days"),
        ] {
            let problem = Problem::too_many(Duration::from_secs_f64(seconds));
            assert_eq!(problem.detail, format!("Too many attempts. Please wait {said}."), "{seconds}");
        }
        let busy = Problem::unavailable(Duration::from_secs(1));
        assert!(!busy.detail.contains("wait 1"), "a 503 promises no time: {}", busy.detail);
    }
}
