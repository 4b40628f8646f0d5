//! The OpenAPI 3.1 document, generated from the endpoints.
//!
//! Extractors and [`super::problem`] describe what each operation takes and its errors. This file adds the rest of the
//! document and the body of every error, and `headers.rs` the headers that operations share. The ids of operations and
//! the names of schemas are written out where they are declared; a test fails for one that is not.

use salvo::{
    Router,
    http::StatusCode,
    oapi::{
        Contact, Info, License, OpenApi, Operation, PathItemType, Server, Tag,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{
    problem::{document_problem_bodies, document_status},
    validators::enum_schemas,
};

mod headers;

pub use headers::{add_to_success, parameter};

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

const DESCRIPTION: &str = "Accounts, sessions and emotions of FaceofMind.\n\nErrors are `application/problem+json` \
    (RFC 9457): branch on `type`, show `detail`. Times are RFC 3339 with an offset, ids are integers. Every path \
    works with and without a slash at its end, and `HEAD` works where `GET` does. The header `Allow` of `OPTIONS` and of \
    a 405 lists the methods of a path.";

/// The sections of the documentation, each with what it is about. A router names its own by `oapi_tag`.
const TAGS: &[(&str, &str)] = &[
    ("auth", "Registration, login and logout, codes and passwords"),
    ("users", "Accounts"),
    ("sessions", "Sessions, detections, and the suggestions and charts that follow from them"),
    ("events", "Events as they are published"),
    ("posts", "Posts and comments of the community"),
    ("reminders", "Reminders"),
    ("root", "Health and readiness of the service"),
];

/// The document of these routes.
pub fn document(routes: &Router) -> OpenApi {
    let license = License::new("Apache-2.0").identifier("Apache-2.0");
    let info = Info::new("FaceofMind User API", VERSION).description(DESCRIPTION).license(license);
    let info = info.contact(Contact::new().name("FaceofMind"));
    let bearer = Http::new(HttpAuthScheme::Bearer).bearer_format("JWT").description("The `access_token` of a login.");
    let document = OpenApi::with_info(info).add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let mut document = document.add_server(Server::new("/").description("This service")).merge_router(routes);
    document.components.schemas.extend(enum_schemas());
    headers::describe(&mut document.components);
    document_unknown_outcomes(&mut document);
    for operation in operations(&mut document) {
        document_edge(operation);
        document_problem_bodies(operation);
    }
    let used: Vec<_> = operations(&mut document).flat_map(|operation| operation.tags.clone()).collect();
    let tags = TAGS.iter().filter(|(name, _)| used.iter().any(|tag| tag == name));
    document.tags(tags.map(|(name, description)| Tag::new(*name).description(*description)))
}

/// The document as `faceofmind openapi` prints it.
///
/// # Errors
/// When an example cannot be written as JSON.
pub fn print(routes: &Router) -> Result<String, serde_json::Error> {
    document(routes).to_pretty_json()
}

/// A write may answer that its outcome is unknown.
fn document_unknown_outcomes(document: &mut OpenApi) {
    for path in document.paths.values_mut() {
        for (method, operation) in path.operations.iter_mut() {
            if *method != PathItemType::Get && *method != PathItemType::Head {
                document_status(operation, StatusCode::GATEWAY_TIMEOUT);
            }
        }
    }
}

/// Adds what the edge does for every operation.
fn document_edge(operation: &mut Operation) {
    // Without a list of its own an operation would have none, which readers take for an oversight.
    operation.securities.get_or_insert_default();
    operation.description.get_or_insert_with(|| operation.summary.clone().unwrap_or_default());
    if !operation.responses.contains_key("400") {
        document_status(operation, StatusCode::BAD_REQUEST);
    }
    headers::add_references(operation);
}

fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    document.paths.values_mut().flat_map(|path| path.operations.values_mut())
}

#[cfg(test)]
mod tests {
    use salvo::{
        Writer,
        oapi::{RouterExt, ToSchema, endpoint},
        writing::Json,
    };
    use serde::Serialize;
    use serde_json::Value;

    use super::*;
    use crate::http::{path::PathId, problem::Problem};

    #[derive(Serialize, ToSchema)]
    #[salvo(schema(name = "Parrot", example = json!({ "id": 7 })))]
    struct Parrot {
        id: i64,
    }

    /// Shows a parrot.
    ///
    /// Only one.
    #[endpoint(operation_id = "parrots_show", responses((status_code = 409, description = "The parrot is asleep")))]
    async fn show(id: PathId) -> Result<Json<Parrot>, Problem> {
        Ok(Json(Parrot { id: id.0 }))
    }

    fn printed() -> Value {
        let parrots = Router::with_path("api/v1/parrots/{id}").oapi_tag("users").get(show);
        serde_json::from_str(&print(&parrots).expect("JSON")).expect("JSON")
    }

    #[test]
    fn the_document_is_openapi_3_1_with_the_names_as_declared() {
        let document = printed();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
        let schemas: Vec<_> = document["components"]["schemas"].as_object().expect("schemas").keys().collect();
        assert_eq!(schemas, ["AccountStatus", "FieldError", "Parrot", "Problem", "ProblemType", "Role", "Window"]);
    }

    #[test]
    fn an_operation_says_what_it_does_and_every_error_is_a_problem() {
        let operation = printed()["paths"]["/api/v1/parrots/{id}"]["get"].clone();
        assert_eq!(operation["operationId"], "parrots_show");
        assert_eq!(
            (&operation["summary"], &operation["description"]),
            (&"Shows a parrot.".into(), &"Only one.".into())
        );
        let statuses: Vec<_> = operation["responses"].as_object().expect("responses").keys().collect();
        assert_eq!(statuses, ["200", "400", "409", "422", "500", "503"]);
        assert_eq!(operation["responses"]["409"]["description"], "The parrot is asleep");
        for status in ["400", "409", "422", "500", "503"] {
            let problem = &operation["responses"][status]["content"]["application/problem+json"]["schema"];
            assert_eq!(problem["$ref"], "#/components/schemas/Problem", "for {status}");
        }
    }

    #[test]
    fn an_operation_says_which_token_it_needs_and_which_headers_it_answers() {
        let document = printed();
        let operation = &document["paths"]["/api/v1/parrots/{id}"]["get"];
        assert_eq!(operation["security"], serde_json::json!([]));
        for (status, has_retry_after) in [("200", false), ("409", false), ("503", true)] {
            let headers = &operation["responses"][status]["headers"];
            for name in ["X-Request-Id", "Cache-Control", "Vary", "Content-Encoding", "Access-Control-Allow-Origin"] {
                assert!(headers[name].is_object(), "{name} for {status}");
            }
            assert_eq!(headers["Retry-After"].is_object(), has_retry_after, "for {status}");
            assert!(headers["WWW-Authenticate"].is_null(), "for {status}");
        }
        let headers = &document["components"]["headers"];
        assert_eq!((&headers["Vary"]["required"], &headers["Retry-After"]["required"]), (&true.into(), &false.into()));
    }

    /// The references in a document.
    fn references(part: &Value) -> Vec<&str> {
        match part {
            Value::Object(map) => {
                let own = map.get("$ref").and_then(Value::as_str);
                own.into_iter().chain(map.values().flat_map(references)).collect()
            }
            Value::Array(items) => items.iter().flat_map(references).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn every_reference_has_a_target() {
        let document = serde_json::to_value(document(&crate::http::routes())).expect("JSON");
        let references = references(&document);
        assert!(references.len() > 500, "{}", references.len());
        for reference in references {
            let target = reference.strip_prefix('#').and_then(|place| document.pointer(place));
            assert!(target.is_some(), "{reference} has no target");
        }
    }

    #[test]
    fn an_operation_says_which_headers_and_cookies_it_reads() {
        let document = serde_json::to_value(document(&crate::http::routes())).expect("JSON");
        let read = |path: &str, method: &str| {
            let parameters = document["paths"][path][method]["parameters"].as_array().expect("parameters").iter();
            let own = parameters.map(|one| match one["$ref"].as_str() {
                Some(reference) => document.pointer(reference.trim_start_matches('#')).expect("a target"),
                None => one,
            });
            let own = own.filter(|one| one["in"] == "header" || one["in"] == "cookie");
            let mut names: Vec<_> = own.map(|one| one["name"].as_str().expect("a name")).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(read("/health", "get"), ["Accept-Encoding", "X-Request-Id"]);
        let login = ["Accept-Encoding", "User-Agent", "X-Request-Id", "faceofmind_device", "traceparent"];
        assert_eq!(read("/api/v1/auth/login", "post"), login);
        let registration = ["Accept-Encoding", "Accept-Language", "X-Request-Id", "faceofmind_device", "traceparent"];
        assert_eq!(read("/api/v1/auth/register", "post"), registration);
        let post =
            ["Accept-Encoding", "Accept-Language", "Idempotency-Key", "X-Request-Id", "X-Time-Zone", "traceparent"];
        assert_eq!(read("/api/v1/posts", "post"), post);
    }

    #[test]
    fn only_tags_that_are_used_are_listed() {
        let tags = printed()["tags"].clone();
        let names: Vec<_> = tags.as_array().expect("tags").iter().map(|tag| tag["name"].clone()).collect();
        assert_eq!(names, ["users"]);
    }
}
