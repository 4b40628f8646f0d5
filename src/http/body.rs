//! JSON bodies: read within the limits, refused with reasons, and kept for whoever looks at them again.

use std::{borrow::Cow, fmt::Debug, future::poll_fn, io, pin::Pin};

use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    http::{Body as HttpBody, ReqBody, StatusCode, header::CONTENT_TYPE},
    hyper::body::Bytes,
    oapi::{
        Array, Components, Content, EndpointArgRegister, Operation, RefOr, RequestBody, Required, ToSchema,
        schema::{OneOf, Schema},
    },
};
use serde_json::Value;

use super::{
    fields::{FromFields, read_batch, read_object},
    no_metadata,
    openapi::may_answer,
    problem::{FieldError, Loc, Problem},
};

/// A JSON object, read field by field. As a handler's argument: `body: Body<Registration>`, then `body.0`.
pub struct Body<T>(pub T);

/// One JSON object or a list of 1 to `MAX` of them: `body: Batch<Detection, 1000>`.
pub struct Batch<T, const MAX: usize>(pub Vec<T>);

impl<'ex, T: FromFields + Send> Extractible<'ex> for Body<T> {
    fn metadata() -> &'static Metadata {
        no_metadata()
    }

    async fn extract(
        req: &'ex mut Request,
        _depot: &'ex mut Depot,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        json(req).await.and_then(read_object).map(Self)
    }
}

impl<'ex, T: FromFields + Send, const MAX: usize> Extractible<'ex> for Batch<T, MAX> {
    fn metadata() -> &'static Metadata {
        no_metadata()
    }

    async fn extract(
        req: &'ex mut Request,
        _depot: &'ex mut Depot,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        json(req).await.and_then(|value| read_batch(value, 1..=MAX)).map(Self)
    }
}

impl<T: ToSchema> EndpointArgRegister for Body<T> {
    fn register(components: &mut Components, operation: &mut Operation, _arg: &str) {
        let schema = T::to_schema(components);
        document(components, operation, schema);
    }
}

impl<T: ToSchema, const MAX: usize> EndpointArgRegister for Batch<T, MAX> {
    fn register(components: &mut Components, operation: &mut Operation, _arg: &str) {
        let one = T::to_schema(components);
        let many = Schema::Array(Array::new().items(one.clone()).min_items(1).max_items(MAX));
        document(components, operation, RefOr::Type(Schema::OneOf(OneOf::new().item(one).item(many))));
    }
}

fn document(components: &mut Components, operation: &mut Operation, schema: RefOr<Schema>) {
    let body = RequestBody::new().required(Required::True);
    operation.request_body = Some(body.add_content("application/json", Content::new(schema)));
    let refusals =
        [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE, StatusCode::UNPROCESSABLE_ENTITY];
    may_answer(components, operation, &refusals);
}

/// The body's bytes, at most as many as the limit allows. They can be read again afterwards.
///
/// # Errors
/// 413 beyond the limit; 400 when the body breaks off.
pub async fn bytes(req: &mut Request) -> Result<Bytes, Problem> {
    let limit = req.secure_max_size();
    let mut body = req.take_body();
    let Some(read) = collect(&mut body, limit).await?.map(Bytes::from) else {
        // What is left is put back: the hoop that let the request in reads it away before the answer goes out.
        req.replace_body(body);
        return Err(Problem::too_large(limit));
    };
    req.replace_body(ReqBody::Once(read.clone()));
    Ok(read)
}

/// The body as JSON.
///
/// # Errors
/// 413, 415 and 422, as [`Body`] refuses it.
pub async fn json(req: &mut Request) -> Result<Value, Problem> {
    let bytes = bytes(req).await?;
    if bytes.is_empty() {
        return Err(bad_body("is missing: a JSON object is expected"));
    }
    if !is_json(req) {
        return Err(Problem::not_json());
    }
    serde_json::from_slice(&bytes).map_err(|error| bad_body(fault(&error)))
}

fn is_json(req: &Request) -> bool {
    let declared = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = declared.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Says where the JSON is broken, and nothing of what stands there.
fn fault(error: &serde_json::Error) -> String {
    if error.to_string().starts_with("recursion limit") {
        return "is nested too deeply".into();
    }
    format!("is not valid JSON (line {}, column {})", error.line(), error.column())
}

fn bad_body(msg: impl Into<Cow<'static, str>>) -> Problem {
    Problem::invalid(vec![FieldError { loc: vec![Loc::Name("body".into())], msg: msg.into() }])
}

/// All of the body, or `None` when it is larger than `limit`.
async fn collect(body: &mut ReqBody, limit: usize) -> Result<Option<Vec<u8>>, Problem> {
    let mut read = Vec::new();
    while let Some(data) = next_data(body).await.map_err(|_| broken_off())? {
        if read.len() + data.len() > limit {
            return Ok(None);
        }
        read.extend_from_slice(&data);
    }
    Ok(Some(read))
}

fn broken_off() -> Problem {
    Problem::bad_request("body-broken-off", "The body broke off before its end.")
}

/// The next piece of the body, or `None` at its end. Trailers are skipped.
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
    use salvo::{Router, oapi::endpoint, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::{
        fields::{Fields, Read},
        kinds::text,
        testing::{Served, answer},
    };

    #[derive(ToSchema)]
    struct Note {
        text: String,
    }

    impl FromFields for Note {
        fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
            let text = fields.required("text", text(1..=5));
            fields.finish(|valid| Self { text: text.get(valid) })
        }
    }

    #[endpoint]
    async fn keep(body: Body<Note>) -> Json<String> {
        Json(body.0.text)
    }

    #[endpoint]
    async fn keep_all(body: Batch<Note, 3>) -> Json<usize> {
        Json(body.0.len())
    }

    #[endpoint]
    async fn refuse() -> Result<Json<usize>, Problem> {
        Err(Problem::unauthorized("Not authenticated"))
    }

    fn routes() -> Router {
        Router::with_path("api")
            .push(Router::with_path("notes").post(keep))
            .push(Router::with_path("batch").post(keep_all))
            .push(Router::with_path("locked").post(refuse))
    }

    const GOOD: &str = r#"{"text":"Hello"}"#;

    #[tokio::test]
    async fn of_a_key_given_twice_the_last_counts() {
        let answer = Served::api(routes).await.post("/api/notes", r#"{"text":"one","text":"two"}"#).await;
        assert_eq!((answer.status, answer.json), (200, json!("two")));
    }

    #[tokio::test]
    async fn what_is_no_json_object_says_where_it_breaks() {
        let api = Served::api(routes).await;
        for (body, why) in [
            (r#"{"text": "An"#, "body: is not valid JSON (line 1, column 12)"),
            ("[1]", "body: must be a JSON object"),
            ("null", "body: must be a JSON object"),
            ("", "body: is missing: a JSON object is expected"),
        ] {
            let answer = api.post("/api/notes", body).await;
            assert_eq!((answer.status, answer.refused()), (422, vec![why.to_owned()]), "for {body}");
        }
    }

    #[tokio::test]
    async fn a_megabyte_of_nested_arrays_is_refused() {
        let api = Served::api(routes).await;
        let answer = api.post("/api/notes", "[".repeat(1 << 20)).await;
        assert_eq!((answer.status, answer.refused()), (422, vec!["body: is nested too deeply".to_owned()]));
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_are_refused() {
        let api = Served::api(routes).await;
        let request = api.request(Method::POST, "/api/notes").header("content-type", "application/json");
        assert_eq!(answer(request.body(b"{\"text\":\"\xff\"}".to_vec())).await.status, 422);
    }

    #[tokio::test]
    async fn a_body_of_ten_megabytes_is_refused_and_a_client_that_sends_it_all_reads_why() {
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
    async fn a_large_body_that_does_not_say_its_length_is_refused_too() {
        let api = Served::api(routes).await;
        let head = "POST /api/notes HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
            content-type: application/json\r\n\r\n";
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
        let answer = api.raw(format!("{head}{}0\r\n\r\n", chunk.repeat(160)).as_bytes()).await;
        assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    }

    #[tokio::test]
    async fn a_body_nobody_reads_does_not_hide_the_answer() {
        let api = Served::api(routes).await;
        let answer = api.post("/api/locked", "x".repeat(900_000)).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"));
    }

    #[tokio::test]
    async fn only_json_is_taken_with_or_without_a_charset() {
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
            "a request without a body is not refused for its type"
        );
    }

    #[tokio::test]
    async fn a_batch_is_one_object_or_a_list_of_them() {
        let api = Served::api(routes).await;
        assert_eq!(api.post("/api/batch", GOOD).await.json, json!(1));
        assert_eq!(api.post("/api/batch", format!("[{GOOD},{GOOD}]")).await.json, json!(2));
        let many = api.post("/api/batch", format!("[{}]", [GOOD; 4].join(","))).await;
        assert_eq!(many.refused(), ["body: must be a list of 1 to 3 objects"]);
    }
}
