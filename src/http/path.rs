//! Ids in paths, and the one name of a path that can be spelled in several ways.

use std::fmt::Debug;

use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    http::StatusCode,
    oapi::{
        BasicType, Components, EndpointArgRegister, KnownFormat, Object, Operation, Parameter, ParameterIn, Required,
        SchemaFormat,
    },
};

use super::{
    extract::no_metadata,
    problem::{FieldError, Problem, document_errors},
};

/// What matches any rest of a path. A route that ends with it leads nowhere.
pub const ANYTHING: &str = "{**rest}";

/// An id in the path, at least 1. The argument's name is the parameter's: `id: PathId` reads `{id}`, `cid: PathId` reads `{cid}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathId(pub i64);

impl PathId {
    /// # Errors
    /// 422 unless the parameter is decimal digits of a number from 1 to 2^63 - 1.
    fn read(req: &Request, name: &str) -> Result<Self, Problem> {
        let text = req.params().get(name).map_or("", String::as_str);
        let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let id = digits.and_then(|digits| digits.parse().ok()).filter(|id| *id >= 1);
        id.map(Self).ok_or_else(|| {
            Problem::invalid(vec![FieldError::new("path", name.to_owned(), "must be a whole number of at least 1")])
        })
    }
}

/// The path of a request as its route spells it: `/api/v1/sessions/7/end`, also when it was called as `//api/v1/session%73/007/end/`. What is
/// kept by path is kept by this one.
pub fn canonical(req: &Request) -> String {
    let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => parameter(req, name),
        None => part.to_owned(),
    };
    let parts = req.matched_path().split('/').filter(|part| !part.is_empty());
    parts.map(|text| format!("/{}", part(text))).collect()
}

/// The value of a parameter: an id without leading zeros, another value as it was decoded.
fn parameter(req: &Request, name: &str) -> String {
    PathId::read(req, name).map_or_else(|_| req.params().get(name).cloned().unwrap_or_default(), |id| id.0.to_string())
}

impl<'ex> Extractible<'ex> for PathId {
    fn metadata() -> &'static Metadata {
        no_metadata()
    }

    async fn extract(
        req: &'ex mut Request,
        depot: &'ex mut Depot,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Self::extract_with_arg(req, depot, "id").await
    }

    async fn extract_with_arg(
        req: &'ex mut Request,
        _depot: &'ex mut Depot,
        arg: &str,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Self::read(req, arg)
    }
}

impl EndpointArgRegister for PathId {
    fn register(components: &mut Components, operation: &mut Operation, arg: &str) {
        let schema =
            Object::with_type(BasicType::Integer).format(SchemaFormat::KnownFormat(KnownFormat::Int64)).minimum(1);
        let parameter = Parameter::new(arg).location(ParameterIn::Path).required(Required::True).schema(schema);
        operation.parameters.insert(parameter);
        document_errors(components, operation, &[StatusCode::UNPROCESSABLE_ENTITY]);
    }
}

#[cfg(test)]
mod tests {
    use salvo::{Router, handler, oapi::endpoint, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Served, answer};

    #[endpoint]
    async fn comment(id: PathId, cid: PathId) -> Json<[i64; 2]> {
        Json([id.0, cid.0])
    }

    fn routes() -> Router {
        Router::with_path("api/posts/{id}/comments/{cid}").get(comment)
    }

    #[tokio::test]
    async fn ids_are_read_by_the_names_of_the_arguments() {
        let api = Served::api(routes).await;
        let largest = answer(api.get("/api/posts/9223372036854775807/comments/1")).await;
        assert_eq!((largest.status, largest.json), (200, json!([i64::MAX, 1])));
    }

    #[handler]
    async fn name(req: &mut Request) -> Json<String> {
        Json(canonical(req))
    }

    #[tokio::test]
    async fn every_spelling_of_a_path_has_one_name() {
        let routes = || Router::with_path("api/v1/posts/{id}/comments").get(name);
        let api = Served::api(routes).await;
        for path in [
            "/api/v1/posts/7/comments",
            "/api/v1/posts/7/comments/",
            "//api//v1/posts/7//comments//",
            "/api/v1/post%73/%37/comments?x=1",
            "/api/v1/posts/0007/%63omments",
        ] {
            let named = answer(api.get(path)).await;
            assert_eq!((named.status, named.json), (200, json!("/api/v1/posts/7/comments")), "for {path}");
        }
    }

    #[tokio::test]
    async fn an_invalid_id_is_rejected_under_its_name() {
        let api = Served::api(routes).await;
        for id in ["abc", "0", "-1", "+1", "1.0", "9223372036854775808", "%00", "1%00", "%20", "%2F"] {
            let answer = answer(api.get(&format!("/api/posts/{id}/comments/1"))).await;
            assert_eq!(answer.status, 422, "for {id}");
            assert_eq!(answer.invalid_fields(), ["path.id: must be a whole number of at least 1"]);
        }
        let second = answer(api.get("/api/posts/1/comments/abc")).await;
        assert_eq!(second.invalid_fields(), ["path.cid: must be a whole number of at least 1"]);
    }
}
