//! The headers and the cookie that several operations share, described once, as components of the OpenAPI document.
//!
//! Every response names those of the edge and of problems, and every operation the ones that the edge reads. Extractors name what they read by
//! [`parameter`]. A header of one operation alone is described where that operation is.

use salvo::oapi::{
    BasicType, Components, Header, Object, Operation, Parameter, ParameterIn, Ref, RefOr, Required,
    Response as Described,
};

use crate::http::{
    client::DEVICE_COOKIE,
    edge::{CONTENT_POLICY, EXPOSED_HEADERS},
    request_id,
};

/// A header that the edge or a problem sets.
struct ResponseHeader {
    name: &'static str,
    on: On,
    schema: fn() -> Object,
    meaning: &'static str,
}

/// The responses that have a header.
#[derive(Clone, Copy, PartialEq)]
enum On {
    /// Every one.
    Every,
    /// Every 401.
    Unauthorized,
    /// Some of those with one of these statuses.
    Statuses(&'static [&'static str]),
    /// Those that were compressed, which event streams never are.
    Compressed,
    /// Those to web pages of other origins.
    CrossOrigin,
}

impl On {
    fn includes(self, status: &str, response: &Described) -> bool {
        match self {
            Self::Every | Self::CrossOrigin => true,
            Self::Unauthorized => status == "401",
            Self::Statuses(statuses) => statuses.contains(&status),
            Self::Compressed => !response.contents.contains_key("text/event-stream"),
        }
    }

    fn is_required(self) -> bool {
        matches!(self, Self::Every | Self::Unauthorized)
    }
}

const RESPONSE_HEADERS: [ResponseHeader; 12] = [
    response_header("X-Request-Id", On::Every, id, "The id of this request in the logs"),
    response_header("Cache-Control", On::Every, || only("no-store"), "No cache keeps the response"),
    response_header("Vary", On::Every, text, "`accept-encoding` and, where pages of other origins may call, `origin`"),
    response_header("X-Content-Type-Options", On::Every, || only("nosniff"), "Browsers do not guess another type"),
    response_header("Referrer-Policy", On::Every, || only("no-referrer"), "Browsers do not send the address on"),
    response_header("Content-Security-Policy", On::Every, || only(CONTENT_POLICY), "Browsers load and embed nothing"),
    response_header(
        "Content-Encoding",
        On::Compressed,
        || only("gzip"),
        "Present where the body was compressed: from 1 KiB on, when `Accept-Encoding` allows it",
    ),
    response_header(
        "Access-Control-Allow-Origin",
        On::CrossOrigin,
        text,
        "The `Origin` of the request, or `*`. Present when `CORS_ORIGINS` allows that origin",
    ),
    response_header(
        "Access-Control-Expose-Headers",
        On::CrossOrigin,
        || only(&EXPOSED_HEADERS.join(",")),
        "What pages of other origins may read. Present when the request has an `Origin` and `CORS_ORIGINS` allows \
            any",
    ),
    response_header(
        "WWW-Authenticate",
        On::Unauthorized,
        || only("Bearer"),
        "The scheme of access tokens (RFC 6750 §3)",
    ),
    response_header(
        "Accept-Encoding",
        On::Statuses(&["415"]),
        || only("identity"),
        "Present when the body of the request had a `Content-Encoding` (RFC 9110 §15.5.16)",
    ),
    response_header(
        "Retry-After",
        On::Statuses(&["429", "503"]),
        || Object::with_type(BasicType::Integer).minimum(1),
        "Seconds until another attempt can succeed (RFC 9110 §10.2.3). Every problem with this status has it",
    ),
];

const fn response_header(name: &'static str, on: On, schema: fn() -> Object, meaning: &'static str) -> ResponseHeader {
    ResponseHeader { name, on, schema, meaning }
}

/// What a request may carry: name, place, schema and meaning.
type SharedParameter = (&'static str, ParameterIn, fn() -> Object, &'static str);

const PARAMETERS: [SharedParameter; 6] = [
    (
        "X-Request-Id",
        ParameterIn::Header,
        id,
        "The id of this request in logs, problems and events. A missing, repeated or malformed one is replaced by \
            a new UUID.",
    ),
    (
        "Accept-Encoding",
        ParameterIn::Header,
        text,
        "With `gzip`, a response of 1 KiB or more is compressed. Event streams are not.",
    ),
    (
        "traceparent",
        ParameterIn::Header,
        || text().pattern("^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"),
        "The trace of the caller (W3C Trace Context), which the events of this request carry. A malformed one is \
            ignored.",
    ),
    (
        "Accept-Language",
        ParameterIn::Header,
        text,
        "The language of helplines and suggestions for a user who has chosen none (RFC 9110 §12.5.4). At most 16 \
            are read, and a malformed one is ignored.",
    ),
    (
        "X-Time-Zone",
        ParameterIn::Header,
        text,
        "The IANA time zone, which tells the country of helplines. By default the user's own. An unknown one is \
            ignored.",
    ),
    (
        DEVICE_COOKIE,
        ParameterIn::Cookie,
        text,
        "The device token, as the last login or refresh of this device set it. A device with one is counted for \
            itself, whatever others of its network do.",
    ),
];

/// The parameters of the edge, which every operation has.
const EDGE_PARAMETERS: [&str; 2] = ["X-Request-Id", "Accept-Encoding"];

fn text() -> Object {
    Object::with_type(BasicType::String)
}

fn only(value: &str) -> Object {
    text().enum_values([value])
}

/// An id of a request as [`request_id`] takes and answers it.
fn id() -> Object {
    text().min_length(1).max_length(request_id::MAX_LENGTH).pattern("^[!-~]+$")
}

/// Describes the shared headers and parameters.
pub(super) fn describe(components: &mut Components) {
    components.headers.extend(RESPONSE_HEADERS.map(|ResponseHeader { name, on, schema, meaning }| {
        let header = Header::new(schema()).description(meaning).required(on.is_required());
        (name.to_owned(), RefOr::Type(header))
    }));
    components.parameters.extend(PARAMETERS.map(|(name, place, schema, meaning)| {
        let parameter = Parameter::new(name).location(place).required(Required::False).description(meaning);
        (name.to_owned(), RefOr::Type(parameter.schema(schema())))
    }));
}

/// Names what the edge reads of every request, and the shared headers of each response.
pub(super) fn add_references(operation: &mut Operation) {
    operation.parameters.extend(EDGE_PARAMETERS.map(parameter));
    for (status, response) in operation.responses.iter_mut() {
        if let RefOr::Type(response) = response {
            let names = RESPONSE_HEADERS.iter().filter(|header| header.on.includes(status, response));
            let references: Vec<_> = names.map(|header| (header.name.to_owned(), reference(header.name))).collect();
            response.headers.extend(references);
        }
    }
}

/// Refers to a shared parameter.
pub fn parameter(name: &str) -> Ref {
    Ref::new(format!("#/components/parameters/{name}"))
}

/// Refers to a shared header. The type of headers has no references, so that an extension holds it.
fn reference(name: &str) -> Header {
    let mut header = Header::default();
    header.schema = None;
    header.extensions.insert("$ref".into(), format!("#/components/headers/{name}").into());
    header
}

/// Adds a header to the successful response of an operation.
pub fn add_to_success(operation: &mut Operation, name: &str, header: Header) {
    if let Some(RefOr::Type(response)) = operation.responses.get_mut("200") {
        response.headers.insert(name.to_owned(), header);
    }
}
