//! `Idempotency-Key`: a request that is sent twice is carried out once.

use faceofmind_model::UserId;
use faceofmind_platform::idempotency;
use salvo::{
    Depot, Request,
    hyper::body::Bytes,
    oapi::{BasicType, Components, Object, Operation, RefOr, Schema},
};

use super::{
    body,
    extract::extractor,
    header::{Header, HeaderField},
    path,
    problem::Problem,
    validators::{ErrorMessage, FieldType, RawValue},
};

/// The header `Idempotency-Key`.
pub struct IdempotencyKey;

impl HeaderField for IdempotencyKey {
    const NAME: &'static str = "Idempotency-Key";
    const DESCRIPTION: &'static str =
        "The same key with the same body, sent again within 24 hours, gets the first response again.";
    const REPEATED: &'static str = "must be 1 to 255 printable characters, given once";
}

impl FieldType for IdempotencyKey {
    type Value = String;

    fn read(raw: RawValue) -> Result<String, ErrorMessage> {
        let key = raw.into_text()?;
        let is_key = (1..=255).contains(&key.len()) && key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if is_key { Ok(key) } else { Err(Self::REPEATED.into()) }
    }

    fn schema() -> RefOr<Schema> {
        Object::with_type(BasicType::String).min_length(1).max_length(255).pattern("^[ -~]+$").into()
    }
}

/// The identity of a request with an `Idempotency-Key`; none without. An argument that stands before the body.
#[derive(Clone, Debug, PartialEq)]
pub struct Idempotency(pub Option<IdempotentRequest>);

/// A request with a key. The user completes its scope; the body distinguishes a retry from another request.
#[derive(Clone, Debug, PartialEq)]
pub struct IdempotentRequest {
    /// 1 to 255 printable ASCII characters.
    pub key: String,
    /// `POST`, …
    pub method: String,
    /// The path as its route spells it.
    pub path: String,
    /// The body as received.
    pub body: Bytes,
}

impl Idempotency {
    /// The key of this user's request, if it has one.
    pub fn into_key(self, user: UserId) -> Option<idempotency::IdempotencyKey> {
        let IdempotentRequest { key, method, path, body } = self.0?;
        Some(idempotency::IdempotencyKey::new(user, format!("{method} {path}"), key, &body))
    }

    async fn from_request(req: &mut Request, depot: &Depot) -> Result<Self, Problem> {
        let Some(key) = Header::<IdempotencyKey>::from_request(req, depot).await?.0 else { return Ok(Self(None)) };
        let method = req.method().to_string();
        let path = path::canonical(req);
        Ok(Self(Some(IdempotentRequest { key, method, path, body: body::bytes(req, depot).await? })))
    }

    fn document(components: &mut Components, operation: &mut Operation) {
        Header::<IdempotencyKey>::document(components, operation);
    }
}

extractor!(Idempotency);

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use salvo::{Router, Writer, oapi::endpoint, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Served, answer};

    const HEADER: &str = IdempotencyKey::NAME;

    #[endpoint]
    async fn create(call: Idempotency, req: &mut Request, depot: &mut Depot) -> Json<serde_json::Value> {
        let again = body::bytes(req, depot).await.map(|bytes| bytes.len()).unwrap_or_default();
        let call = call.0.map(|call| json!([call.key, call.method, call.path, call.body.len()]));
        Json(json!({ "call": call, "again": again }))
    }

    fn routes() -> Router {
        Router::with_path("api/sessions").post(create)
    }

    #[tokio::test]
    async fn a_request_with_a_key_is_identified_by_method_path_and_body_which_stays_readable() {
        let api = Served::api(routes).await;
        let request = api.request(Method::POST, "/api/sessions/?x=1").header(HEADER, "a key").body("{ }");
        let answer = answer(request).await;
        assert_eq!(answer.json, json!({ "call": ["a key", "POST", "/api/sessions", 3], "again": 3 }));
    }

    #[tokio::test]
    async fn a_request_without_a_key_has_no_identity() {
        let api = Served::api(routes).await;
        assert_eq!(api.post("/api/sessions", "{}").await.json, json!({ "call": null, "again": 2 }));
    }

    #[tokio::test]
    async fn a_key_that_is_empty_too_long_unprintable_or_given_twice_is_rejected() {
        let api = Served::api(routes).await;
        let long = "k".repeat(256);
        for keys in [vec![""], vec![&long], vec!["a\tb"], vec!["é"], vec!["one", "two"]] {
            let mut request = api.request(Method::POST, "/api/sessions");
            for key in &keys {
                request = request.header(HEADER, *key);
            }
            let answer = answer(request).await;
            assert_eq!(answer.status, 422, "for {keys:?}");
            assert_eq!(
                answer.invalid_fields(),
                ["header.Idempotency-Key: must be 1 to 255 printable characters, given once"]
            );
        }
    }
}
