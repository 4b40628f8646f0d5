//! JSON bodies, read within the limit of their size.

use std::{
    borrow::Cow,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    time::Duration,
};

use salvo::{
    Depot, Request,
    http::{
        Body as HttpBody, ReqBody, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
    },
    hyper::body::Bytes,
    oapi::{
        Array, Components, Content, Operation, RefOr, RequestBody, Required,
        schema::{OneOf, Schema},
    },
};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::{
    daily_share,
    extract::extractor,
    fields::{BodySchema, body_schema, read_object},
    place,
    problem::{FieldError, Loc, Problem, document_errors},
};

/// A JSON object: `body: Body<LoginRequest>`, then `body.0`.
pub struct Body<T>(pub T);

impl<T: BodySchema> Body<T> {
    async fn from_request(req: &mut Request, depot: &Depot) -> Result<Self, Problem> {
        json(req, depot).await.and_then(read_object).map(Self)
    }

    fn document(components: &mut Components, operation: &mut Operation) {
        let schema = body_schema::<T>(components);
        document(components, operation, schema);
    }
}

extractor!([T: BodySchema + Send] Body<T>);

/// A JSON object that may be left out: a request without a body has an empty object.
pub struct OptionalBody<T>(pub T);

impl<T: BodySchema> OptionalBody<T> {
    async fn from_request(req: &mut Request, depot: &Depot) -> Result<Self, Problem> {
        let is_absent = bytes(req, depot).await?.is_empty();
        let object = if is_absent { Value::Object(Map::new()) } else { json(req, depot).await? };
        read_object(object).map(Self)
    }

    fn document(components: &mut Components, operation: &mut Operation) {
        Body::<T>::document(components, operation);
        if let Some(body) = operation.request_body.as_mut() {
            body.required = Some(Required::False);
        }
    }
}

extractor!([T: BodySchema + Send] OptionalBody<T>);

/// A [`Body`] of a call on which the app searches `detail` for the word "password": a 422 that would name a field of passwords there
/// names its fields in `errors` only.
pub struct BodyWithPassword<T>(pub T);

impl<T: BodySchema> BodyWithPassword<T> {
    async fn from_request(req: &mut Request, depot: &Depot) -> Result<Self, Problem> {
        let body = Body::from_request(req, depot).await;
        body.map(|Body(body)| Self(body)).map_err(|problem| problem.hide_fields("password"))
    }

    fn document(components: &mut Components, operation: &mut Operation) {
        Body::<T>::document(components, operation);
    }
}

extractor!([T: BodySchema + Send] BodyWithPassword<T>);

/// Documents a body that is one object or a list of 1 to `max` of them.
pub fn document_batch<T: BodySchema>(components: &mut Components, operation: &mut Operation, max: usize) {
    let item = body_schema::<T>(components);
    let list = Schema::Array(Array::new().items(item.clone()).min_items(1).max_items(max));
    document(components, operation, RefOr::Type(Schema::OneOf(OneOf::new().item(item).item(list))));
}

fn document(components: &mut Components, operation: &mut Operation, schema: RefOr<Schema>) {
    let body = RequestBody::new().required(Required::True);
    operation.request_body = Some(body.add_content("application/json", Content::new(schema)));
    let errors = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::UNPROCESSABLE_ENTITY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    document_errors(components, operation, &errors);
}

/// A request whose body takes longer has no place among those in progress any more: it does nothing but wait for its client.
const PATIENCE: Duration = Duration::from_millis(100);

/// In the extensions of a request while its body is read, so that a deadline can be told from a slow body.
#[derive(Clone, Copy)]
pub struct ReadingBody;

/// The bytes of the body, within the limit of its size. They can be read again afterwards.
///
/// # Errors
/// 413 beyond the limit; 429 beyond the daily share; 408 when a part of the body does not come in time; 400 when the client stops in the middle of the body.
pub async fn bytes(req: &mut Request, depot: &Depot) -> Result<Bytes, Problem> {
    if let ReqBody::Once(bytes) = req.body() {
        return Ok(bytes.clone());
    }
    let limit = req.secure_max_size();
    let mut body = req.take_body();
    req.extensions_mut().insert(ReadingBody);
    let collected = {
        let mut collecting = pin!(collect(&mut body, limit));
        match timeout(PATIENCE, &mut collecting).await {
            Ok(collected) => collected,
            Err(_) => {
                place::give_back(req);
                collecting.await
            }
        }
    };
    req.extensions_mut().remove::<ReadingBody>();
    let Some(bytes) = collected?.map(Bytes::from) else {
        // The rest is put back: the edge drains it before the response is sent.
        req.replace_body(body);
        return Err(Problem::too_large(limit));
    };
    req.replace_body(ReqBody::Once(bytes.clone()));
    daily_share::count(depot, bytes.len()).await?;
    Ok(bytes)
}

/// The body as JSON.
///
/// # Errors
/// 413, 415 and 422, as of [`Body`].
pub async fn json(req: &mut Request, depot: &Depot) -> Result<Value, Problem> {
    let bytes = bytes(req, depot).await?;
    if bytes.is_empty() {
        return Err(invalid_body("is missing: a JSON object is expected"));
    }
    if is_encoded(req) {
        return Err(Problem::encoded_body());
    }
    if !is_json(req) {
        return Err(Problem::not_json());
    }
    serde_json::from_slice(&bytes).map_err(|error| invalid_body(syntax_error(&error)))
}

fn is_encoded(req: &Request) -> bool {
    req.headers().get_all(CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn is_json(req: &Request) -> bool {
    let declared = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = declared.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Where the JSON is malformed, without any of its content.
fn syntax_error(error: &serde_json::Error) -> String {
    if error.to_string().starts_with("recursion limit") {
        return "is nested too deeply".into();
    }
    format!("is not valid JSON (line {}, column {})", error.line(), error.column())
}

fn invalid_body(msg: impl Into<Cow<'static, str>>) -> Problem {
    Problem::invalid(vec![FieldError { loc: vec![Loc::Name("body".into())], msg: msg.into() }])
}

/// The whole body; none when it is larger than `limit` bytes.
async fn collect(body: &mut ReqBody, limit: usize) -> Result<Option<Vec<u8>>, Problem> {
    let mut read = Vec::new();
    while let Some(data) = next_data(body).await.map_err(|error| cut_off(&error))? {
        if read.len() + data.len() > limit {
            return Ok(None);
        }
        read.extend_from_slice(&data);
    }
    Ok(Some(read))
}

fn cut_off(error: &io::Error) -> Problem {
    if error.kind() == io::ErrorKind::TimedOut { Problem::body_too_slow() } else { Problem::body_cut_off() }
}

/// The next chunk of the body; none at its end. Trailers are skipped.
pub(super) async fn next_data(body: &mut ReqBody) -> io::Result<Option<Bytes>> {
    loop {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await.transpose()? {
            None => return Ok(None),
            Some(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use salvo::{Router, Writer, oapi::endpoint, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::{
        fields::request,
        testing::{Served, answer},
        validators::Text,
    };

    request! {
        /// A note.
        #[schema("Note", example = { "text": "Hello" })]
        struct Note {
            text: Text<1, 5>,
        }
    }

    #[endpoint]
    async fn keep(body: Body<Note>) -> Json<String> {
        Json(body.0.text)
    }

    #[endpoint]
    async fn unauthorized() -> Result<Json<usize>, Problem> {
        Err(Problem::not_authenticated())
    }

    fn routes() -> Router {
        Router::with_path("api")
            .push(Router::with_path("notes").post(keep))
            .push(Router::with_path("locked").post(unauthorized))
    }

    const GOOD: &str = r#"{"text":"Hello"}"#;

    #[tokio::test]
    async fn the_last_of_a_repeated_key_counts() {
        let answer = Served::api(routes).await.post("/api/notes", r#"{"text":"one","text":"two"}"#).await;
        assert_eq!((answer.status, answer.json), (200, json!("two")));
    }

    #[tokio::test]
    async fn a_body_that_is_not_a_json_object_is_rejected_with_the_place_of_the_error() {
        let api = Served::api(routes).await;
        for (body, why) in [
            (r#"{"text": "An"#, "body: is not valid JSON (line 1, column 12)"),
            ("[1]", "body: must be a JSON object"),
            ("null", "body: must be a JSON object"),
            ("", "body: is missing: a JSON object is expected"),
        ] {
            let answer = api.post("/api/notes", body).await;
            assert_eq!((answer.status, answer.invalid_fields()), (422, vec![why.to_owned()]), "for {body}");
        }
    }

    #[tokio::test]
    async fn a_megabyte_of_nested_arrays_is_rejected() {
        let api = Served::api(routes).await;
        let answer = api.post("/api/notes", "[".repeat(1 << 20)).await;
        assert_eq!((answer.status, answer.invalid_fields()), (422, vec!["body: is nested too deeply".to_owned()]));
    }

    #[tokio::test]
    async fn bytes_that_are_not_utf_8_are_rejected() {
        let api = Served::api(routes).await;
        let request = api.request(Method::POST, "/api/notes").header("content-type", "application/json");
        assert_eq!(answer(request.body(b"{\"text\":\"\xff\"}".to_vec())).await.status, 422);
    }

    #[tokio::test]
    async fn a_body_of_ten_megabytes_is_rejected_and_a_client_that_sends_it_all_reads_why() {
        let api = Served::api(routes).await;
        for path in ["/api/notes", "/api/locked"] {
            let head =
                format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 10000000\r\n\r\n");
            let answer = api.raw(format!("{head}{}", "x".repeat(10_000_000)).as_bytes()).await;
            let answer = String::from_utf8(answer).expect("text");
            assert!(answer.starts_with("HTTP/1.1 413 "), "at {path}: {answer}");
            assert!(answer.contains("The body is larger than 1048576 bytes."), "at {path}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_large_body_without_a_declared_length_is_rejected_too() {
        let api = Served::api(routes).await;
        let head = "POST /api/notes HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
            content-type: application/json\r\n\r\n";
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
        let answer = api.raw(format!("{head}{}0\r\n\r\n", chunk.repeat(160)).as_bytes()).await;
        assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    }

    #[tokio::test]
    async fn an_unread_body_does_not_hide_the_response() {
        let api = Served::api(routes).await;
        let answer = api.post("/api/locked", "x".repeat(900_000)).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"));
    }

    #[tokio::test]
    async fn only_json_is_accepted_with_or_without_a_charset() {
        let api = Served::api(routes).await;
        let post = || api.request(Method::POST, "/api/notes");
        for (kind, status) in [
            ("application/json", 200),
            ("Application/JSON;charset=UTF-8", 200),
            ("text/plain", 415),
            ("application/x-www-form-urlencoded", 415),
            ("application/jsonp", 415),
        ] {
            assert_eq!(answer(post().header("content-type", kind).body(GOOD)).await.status, status, "for {kind}");
        }
        assert_eq!(answer(post().body(GOOD)).await.status, 415);
        assert_eq!(
            answer(post().header("content-type", "text/plain")).await.status,
            422,
            "a request without a body is not rejected for its type"
        );
    }
}
