//! `Idempotency-Key`: the same call sent twice is done once.

use std::fmt::Debug;

use faceofmind_actors::{idempotency, user_registry::UserId};
use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    http::StatusCode,
    hyper::body::Bytes,
    oapi::{BasicType, Components, EndpointArgRegister, Object, Operation, Parameter, ParameterIn, Required},
};

use super::{
    body, no_metadata,
    openapi::may_answer,
    problem::{FieldError, Loc, Problem},
};

const HEADER: &str = "Idempotency-Key";
const LONGEST: usize = 255;

/// The call as its idempotency record knows it, if the client gave a key. To be read before the body.
#[derive(Clone, Debug, PartialEq)]
pub struct Idempotency(pub Option<KeyedCall>);

/// A call with a key. The user completes the scope, the body tells a repetition from another call.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyedCall {
    /// 1 to 255 printable ASCII characters.
    pub key: String,
    /// `POST`, …
    pub method: String,
    /// The path as called, without a slash at its end.
    pub path: String,
    /// The body as it came.
    pub body: Bytes,
}

impl Idempotency {
    /// The key of this user's call, if there is one.
    pub fn of(self, user: UserId) -> Option<idempotency::Key> {
        let KeyedCall { key, method, path, body } = self.0?;
        Some(idempotency::Key::of(user, format!("{method} {path}"), key, &body))
    }

    async fn read(req: &mut Request) -> Result<Self, Problem> {
        let Some(key) = key(req)? else { return Ok(Self(None)) };
        let method = req.method().to_string();
        let path = req.uri().path().trim_end_matches('/').to_owned();
        Ok(Self(Some(KeyedCall { key, method, path, body: body::bytes(req).await? })))
    }
}

/// # Errors
/// 422 unless it is 1 to 255 printable ASCII characters, given once.
fn key(req: &Request) -> Result<Option<String>, Problem> {
    let mut given = req.headers().get_all(HEADER).iter();
    let Some(first) = given.next() else { return Ok(None) };
    let text = first.to_str().ok().filter(|text| (1..=LONGEST).contains(&text.len()) && is_printable(text));
    text.filter(|_| given.next().is_none()).map(|text| Some(text.to_owned())).ok_or_else(refusal)
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn refusal() -> Problem {
    let loc = vec![Loc::Name("header".into()), Loc::Name(HEADER.into())];
    Problem::invalid(vec![FieldError { loc, msg: "must be 1 to 255 printable characters, given once".into() }])
}

impl<'ex> Extractible<'ex> for Idempotency {
    fn metadata() -> &'static Metadata {
        no_metadata()
    }

    async fn extract(
        req: &'ex mut Request,
        _depot: &'ex mut Depot,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Self::read(req).await
    }
}

impl EndpointArgRegister for Idempotency {
    fn register(components: &mut Components, operation: &mut Operation, _arg: &str) {
        let schema = Object::with_type(BasicType::String).min_length(1).max_length(LONGEST);
        let parameter = Parameter::new(HEADER)
            .location(ParameterIn::Header)
            .required(Required::False)
            .description("The same key with the same body, within 24 hours, gets the first answer again.")
            .schema(schema);
        operation.parameters.insert(parameter);
        may_answer(components, operation, &[StatusCode::UNPROCESSABLE_ENTITY]);
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use salvo::{Router, oapi::endpoint, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Served, answer};

    #[endpoint]
    async fn create(call: Idempotency, req: &mut Request) -> Json<serde_json::Value> {
        let again = body::bytes(req).await.map(|bytes| bytes.len()).unwrap_or_default();
        let call = call.0.map(|call| json!([call.key, call.method, call.path, call.body.len()]));
        Json(json!({ "call": call, "again": again }))
    }

    fn routes() -> Router {
        Router::with_path("api/sessions").post(create)
    }

    #[tokio::test]
    async fn a_call_with_a_key_is_known_by_method_path_and_body_which_stays_readable() {
        let api = Served::api(routes).await;
        let request = api.request(Method::POST, "/api/sessions/?x=1").header(HEADER, "a key").body("{ }");
        let answer = answer(request).await;
        assert_eq!(answer.json, json!({ "call": ["a key", "POST", "/api/sessions", 3], "again": 3 }));
    }

    #[tokio::test]
    async fn a_call_without_a_key_is_just_a_call() {
        let api = Served::api(routes).await;
        assert_eq!(api.post("/api/sessions", "{}").await.json, json!({ "call": null, "again": 2 }));
    }

    #[tokio::test]
    async fn a_key_that_is_empty_too_long_unprintable_or_given_twice_is_refused() {
        let api = Served::api(routes).await;
        let long = "k".repeat(256);
        for keys in [vec![""], vec![&long], vec!["a\tb"], vec!["é"], vec!["one", "two"]] {
            let mut request = api.request(Method::POST, "/api/sessions");
            for key in &keys {
                request = request.header(HEADER, *key);
            }
            let answer = answer(request).await;
            assert_eq!(answer.status, 422, "for {keys:?}");
            assert_eq!(answer.refused(), ["header.Idempotency-Key: must be 1 to 255 printable characters, given once"]);
        }
    }
}
