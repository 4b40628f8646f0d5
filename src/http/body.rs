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
    problem::{FieldError, Loc, Problem, may_answer},
};

/// A JSON object, read field by field. As a handler's argument: `body: Body<Registration>`, then `body.0`.
pub struct Body<T>(pub T);

/// One JSON object or a list of 1 to `MAX` of them: `body: Batch<Detection, 1000>`.
pub struct Batch<T, const MAX: usize>(pub Vec<T>);

static NO_METADATA: Metadata = Metadata::new("");

impl<'ex, T: FromFields + Send> Extractible<'ex> for Body<T> {
    fn metadata() -> &'static Metadata {
        &NO_METADATA
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
        &NO_METADATA
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
    let content = Content::new(schema);
    let body = RequestBody::new().required(Required::True).add_content("application/json", content);
    operation.request_body = Some(body);
    let refusals = [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE, StatusCode::UNPROCESSABLE_ENTITY];
    may_answer(components, operation, &refusals);
}

/// The body's bytes, at most as many as the limit allows. They can be read again afterwards.
///
/// # Errors
/// 413 beyond the limit; 400 when the body breaks off.
pub async fn bytes(req: &mut Request) -> Result<Bytes, Problem> {
    let limit = req.secure_max_size();
    let mut body = req.take_body();
    let read = collect(&mut body, limit).await?;
    let Some(read) = read.map(Bytes::from) else {
        // What is left is put back: the hoop that let the request in reads it away before the answer goes out.
        req.replace_body(body);
        return Err(Problem::too_large(limit));
    };
    req.replace_body(ReqBody::Once(read.clone()));
    Ok(read)
}

async fn json(req: &mut Request) -> Result<Value, Problem> {
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
    use salvo::{
        Router,
        oapi::{ToSchema, endpoint},
        writing::Json,
    };
    use serde_json::json;

    use super::*;
    use crate::http::{
        fields::{Fields, Read},
        kinds::{boolean, date, integer, moment, number, parsed, secret, text},
        problem::Problem,
        testing::{Served, answer},
    };

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "the schema reads the fields")]
    struct Person {
        name: String,
        email: String,
        password: String,
        age: Option<i64>,
    }

    impl FromFields for Person {
        fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
            let name = fields.required("name", text(1..=5));
            let email = fields.required("email", parsed(lower));
            let password = fields.required("password", secret(8..=16));
            let age = fields.optional("age", integer(0..=150));
            fields.finish(|valid| Self {
                name: name.get(valid),
                email: email.get(valid),
                password: format!("{:?}", password.get(valid)),
                age: age.get(valid),
            })
        }
    }

    fn lower(text: &str) -> Result<String, &'static str> {
        text.contains('@').then(|| text.to_lowercase()).ok_or("must be an address")
    }

    #[endpoint]
    async fn meet(body: Body<Person>) -> Json<Value> {
        let Person { name, email, password, age } = body.0;
        Json(json!({ "name": name, "email": email, "password": password, "age": age }))
    }

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "the schema reads the fields")]
    struct Day {
        at: String,
    }

    impl FromFields for Day {
        fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
            let day = fields.required("day", date());
            let at = fields.optional("at", moment());
            let share = fields.or("share", 0.5, number(0.0..=1.0));
            let open = fields.or("open", false, boolean());
            fields.finish(|valid| Self {
                at: format!("{} {:?} {} {}", day.get(valid), at.get(valid), share.get(valid), open.get(valid)),
            })
        }
    }

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "the schema reads the fields")]
    struct Week {
        days: Vec<Day>,
    }

    impl FromFields for Week {
        fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
            let days = fields.list("days", 1..=7);
            fields.finish(|valid| Self { days: days.get(valid) })
        }
    }

    #[endpoint]
    async fn plan(body: Body<Week>) -> Json<Vec<String>> {
        Json(body.0.days.into_iter().map(|day| day.at).collect())
    }

    #[endpoint]
    async fn detect(body: Batch<Person, 3>) -> Json<usize> {
        Json(body.0.len())
    }

    #[endpoint]
    async fn ignore() -> Result<Json<usize>, Problem> {
        Err(Problem::unauthorized("Not authenticated"))
    }

    fn routes() -> Router {
        Router::with_path("api")
            .push(Router::with_path("people").post(meet))
            .push(Router::with_path("weeks").post(plan))
            .push(Router::with_path("batch").post(detect))
            .push(Router::with_path("locked").post(ignore))
    }

    const GOOD: &str = r#"{"name":"Ana","email":"ANA@x.org","password":"correct horse"}"#;

    #[tokio::test]
    async fn a_good_body_is_read_and_its_secret_stays_one() {
        let api = Served::api(routes).await;
        let answer = api.post("/api/people", GOOD).await;
        assert_eq!(answer.status, 200);
        let password = "SecretBox<str>([REDACTED])";
        assert_eq!(answer.json, json!({ "name": "Ana", "email": "ana@x.org", "password": password, "age": null }));
    }

    #[tokio::test]
    async fn unknown_fields_are_ignored_and_of_a_key_given_twice_the_last_counts() {
        let api = Served::api(routes).await;
        let body = r#"{"name":"Ana","name":"Eva","role":"admin","email":"a@b","password":"12345678","age":41.0}"#;
        let answer = api.post("/api/people", body).await;
        assert_eq!((&answer.json["name"], &answer.json["age"]), (&json!("Eva"), &json!(41)));
    }

    #[tokio::test]
    async fn every_bad_field_is_named_and_no_value_is_repeated() {
        let api = Served::api(routes).await;
        let body = r#"{"name":"Anastasia","email":7,"password":"hunter2","age":"old"}"#;
        let answer = api.post("/api/people", body).await;
        assert_eq!(answer.status, 422);
        assert_eq!(
            answer.refused(),
            [
                "body.name: must have 1 to 5 characters",
                "body.email: must be text",
                "body.password: must have 8 to 16 characters",
                "body.age: must be a whole number from 0 to 150",
            ]
        );
        assert_eq!(answer.json["detail"], "4 fields of the request are not valid.");
        assert!(!answer.json.to_string().contains("hunter2"));
    }

    #[tokio::test]
    async fn missing_fields_are_all_named() {
        let api = Served::api(routes).await;
        let missing = ["body.name: is missing", "body.email: is missing", "body.password: is missing"];
        assert_eq!(api.post("/api/people", "{}").await.refused(), missing);
        assert_eq!(api.post("/api/people", r#"{"name":null}"#).await.refused(), missing);
    }

    #[tokio::test]
    async fn a_nul_is_refused_wherever_text_goes() {
        let api = Served::api(routes).await;
        let answer = api.post("/api/people", r#"{"name":"A\u0000","email":"a@\u0000","password":"1234567\u0000"}"#).await;
        let nul = ["name", "email", "password"].map(|name| format!("body.{name}: must not contain a NUL character"));
        assert_eq!((answer.status, answer.refused()), (422, nul.to_vec()));
    }

    #[tokio::test]
    async fn what_is_no_json_object_says_where_it_breaks() {
        let api = Served::api(routes).await;
        for (body, why) in [
            (r#"{"name": "An"#, "body: is not valid JSON (line 1, column 12)"),
            ("[1]", "body: must be a JSON object"),
            ("null", "body: must be a JSON object"),
            ("", "body: is missing: a JSON object is expected"),
        ] {
            let answer = api.post("/api/people", body).await;
            assert_eq!((answer.status, answer.refused()), (422, vec![why.to_owned()]), "for {body}");
        }
    }

    #[tokio::test]
    async fn a_megabyte_of_nested_arrays_is_refused_unread() {
        let api = Served::api(routes).await;
        let answer = api.post("/api/people", "[".repeat(1 << 20)).await;
        assert_eq!((answer.status, answer.refused()), (422, vec!["body: is nested too deeply".to_owned()]));
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_are_refused() {
        let api = Served::api(routes).await;
        let request = api.request(Method::POST, "/api/people").header("content-type", "application/json");
        assert_eq!(answer(request.body(vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}'])).await.status, 422);
    }

    #[tokio::test]
    async fn a_body_of_ten_megabytes_is_refused_and_the_client_reads_why() {
        let api = Served::api(routes).await;
        for path in ["/api/people", "/api/locked"] {
            let answer = api.post(path, "x".repeat(10 << 20)).await;
            assert_eq!(answer.status, 413, "at {path}");
            assert_eq!(answer.json["detail"], "The body is larger than 1048576 bytes.");
        }
    }

    #[tokio::test]
    async fn a_large_body_that_does_not_say_its_length_is_refused_too() {
        let api = Served::api(routes).await;
        let mut request = b"POST /api/people HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
            content-type: application/json\r\n\r\n"
            .to_vec();
        for _ in 0..40 {
            request.extend_from_slice(b"10000\r\n");
            request.extend_from_slice(&[b' '; 0x10000]);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"0\r\n\r\n");
        let answer = String::from_utf8(api.raw(&request).await).expect("text");
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
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
        for (kind, status) in [
            ("application/json", 200),
            ("application/json; charset=utf-8", 200),
            ("Application/JSON;charset=UTF-8", 200),
            ("text/plain", 415),
            ("application/x-www-form-urlencoded", 415),
            ("application/jsonp", 415),
        ] {
            let request = api.request(Method::POST, "/api/people").header("content-type", kind).body(GOOD);
            assert_eq!(answer(request).await.status, status, "for {kind}");
        }
        assert_eq!(answer(api.request(Method::POST, "/api/people").body(GOOD)).await.status, 415);
        let empty = api.request(Method::POST, "/api/people").header("content-type", "text/plain");
        assert_eq!(answer(empty).await.status, 422, "a request without a body is not refused for its type");
    }

    #[tokio::test]
    async fn a_list_names_the_place_of_each_bad_item() {
        let api = Served::api(routes).await;
        let body = r#"{"days":[{"day":"2026-11-23"},{"day":"soon","at":"now"},7,{"day":"2026-11-24","share":2,"open":1}]}"#;
        assert_eq!(
            api.post("/api/weeks", body).await.refused(),
            [
                "body.days.1.day: must be a date such as 2026-11-23",
                "body.days.1.at: must be a time such as 2026-11-23T08:00:00Z",
                "body.days.2: must be a JSON object",
                "body.days.3.share: must be a number from 0 to 1",
                "body.days.3.open: must be true or false",
            ]
        );
        let none = api.post("/api/weeks", r#"{"days":[]}"#).await;
        assert_eq!(none.refused(), ["body.days: must be a list of 1 to 7 objects"]);
    }

    #[tokio::test]
    async fn a_batch_is_one_object_or_a_list_of_them() {
        let api = Served::api(routes).await;
        assert_eq!(api.post("/api/batch", GOOD).await.json, json!(1));
        assert_eq!(api.post("/api/batch", format!("[{GOOD},{GOOD}]")).await.json, json!(2));
        let bad = api.post("/api/batch", format!(r#"[{GOOD},{{"name":"Bo","email":"b@c"}}]"#)).await;
        assert_eq!(bad.refused(), ["body.1.password: is missing"]);
        let many = api.post("/api/batch", format!("[{}]", [GOOD; 4].join(","))).await;
        assert_eq!(many.refused(), ["body: must be a list of 1 to 3 objects"]);
    }
}
