//! The OpenAPI 3.1 document, generated from the endpoints.
//!
//! Extractors and [`super::problem`] describe what each operation takes and its errors. This file adds the rest of the
//! document and the body of every error. The ids of operations and the names of schemas are written out where they are
//! declared; a test fails for one that is not.

use salvo::{
    Router,
    http::StatusCode,
    oapi::{
        Info, License, OpenApi, Operation, PathItemType, Tag,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{
    TAGS,
    problem::{document_problem_bodies, document_status},
};

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

const DESCRIPTION: &str = "Accounts, sessions and emotions of FaceofMind.\n\nErrors are `application/problem+json` \
    (RFC 9457): branch on `type`, show `detail`. Times are RFC 3339 with an offset, ids are integers. Every path \
    works with and without a slash at its end.";

/// The document of these routes.
pub fn document(routes: &Router) -> OpenApi {
    let license = License::new("Apache-2.0").identifier("Apache-2.0");
    let info = Info::new("FaceofMind User API", VERSION).description(DESCRIPTION).license(license);
    let bearer = Http::new(HttpAuthScheme::Bearer).bearer_format("JWT").description("The `access_token` of a login.");
    let document = OpenApi::with_info(info).add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let mut document = document.merge_router(routes);
    document_unknown_outcomes(&mut document);
    operations(&mut document).for_each(document_problem_bodies);
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
        assert_eq!(schemas, ["FieldError", "Parrot", "Problem"]);
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
        assert_eq!(statuses, ["200", "409", "422", "500", "503"]);
        assert_eq!(operation["responses"]["409"]["description"], "The parrot is asleep");
        for status in ["409", "422", "500", "503"] {
            let problem = &operation["responses"][status]["content"]["application/problem+json"]["schema"];
            assert_eq!(problem["$ref"], "#/components/schemas/Problem", "for {status}");
        }
    }

    #[test]
    fn only_tags_that_are_used_are_listed() {
        let tags = printed()["tags"].clone();
        let names: Vec<_> = tags.as_array().expect("tags").iter().map(|tag| tag["name"].clone()).collect();
        assert_eq!(names, ["users"]);
    }
}
