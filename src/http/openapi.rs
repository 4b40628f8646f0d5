//! The OpenAPI 3.1 document, generated from the endpoints.
//!
//! Extractors and [`Problem`] say what each operation takes and refuses; here the document
//! gets its frame, short names, and the body of every error answer.

use std::{any::TypeId, collections::HashMap, sync::Once};

use salvo::{
    Router,
    http::StatusCode,
    oapi::{
        Components, Content, Info, License, OpenApi, Operation, Ref, RefOr, Response, SecurityRequirement, Tag,
        naming::{NameRule, Namer, set_name_type_info, set_namer, type_info_by_name},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{problem::Problem, root::VERSION};

const DESCRIPTION: &str = "Accounts, sessions and emotions of FaceofMind.\n\nErrors are `application/problem+json` \
    (RFC 9457): branch on `type`, show `detail`. Times are RFC 3339 with an offset, ids are integers. Every path \
    answers with and without a slash at its end.";

const TAGS: &[(&str, &str)] = &[
    ("auth", "Registering, logging in and out, codes and passwords"),
    ("users", "Accounts"),
    ("sessions", "Sessions, detections and what follows from them"),
    ("events", "What happened, as it happens"),
    ("posts", "The community's posts and comments"),
    ("reminders", "Reminders"),
    ("root", "That the service is here"),
];

/// The document of these routes.
pub fn document(routes: &Router) -> OpenApi {
    name_types_shortly();
    let frame = OpenApi::with_info(info());
    let bearer = Http::new(HttpAuthScheme::Bearer).bearer_format("JWT").description("The `access_token` of a log-in.");
    let mut document = frame.add_security_scheme("bearer", SecurityScheme::Http(bearer)).merge_router(routes);
    shorten_operation_ids(&mut document);
    operations(&mut document).for_each(explain_refusals);
    let used = used_tags(&mut document);
    let tags = TAGS.iter().filter(|(name, _)| used.iter().any(|tag| tag == name));
    document.tags(tags.map(|(name, about)| Tag::new(*name).description(*about)))
}

/// The document as `faceofmind openapi` prints it.
///
/// # Errors
/// When an example cannot be written as JSON.
pub fn print(routes: &Router) -> Result<String, serde_json::Error> {
    document(routes).to_pretty_json()
}

/// Documents that an operation may answer with problems of these statuses.
pub fn may_answer(components: &mut Components, operation: &mut Operation, statuses: &[StatusCode]) {
    Problem::schema(components);
    for status in statuses {
        operation.responses.insert(status.as_str(), Response::new(meaning(*status)));
    }
}

/// Documents that an operation needs a bearer token; for the extractors that prove one.
pub fn needs_bearer(components: &mut Components, operation: &mut Operation) {
    let requirement = SecurityRequirement::new("bearer", Vec::<String>::new());
    operation.securities.get_or_insert_default().push(requirement);
    let refusals = [StatusCode::UNAUTHORIZED, StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE];
    may_answer(components, operation, &refusals);
}

fn meaning(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "The request is understood and refused; `type` tells why",
        StatusCode::UNAUTHORIZED => "No bearer token, or one that is malformed, expired or revoked",
        StatusCode::FORBIDDEN => "Known to us, and not allowed to do this",
        StatusCode::NOT_FOUND => "There is no such thing",
        StatusCode::PAYLOAD_TOO_LARGE => "The body is too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "The body is not application/json",
        StatusCode::UNPROCESSABLE_ENTITY => "Some fields are not valid; `errors` names each",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts; `Retry-After` tells when to come back",
        StatusCode::SERVICE_UNAVAILABLE => {
            "Too busy, or something we depend on is down; `Retry-After` tells when to come back"
        }
        _ => "Something went wrong on our side",
    }
}

fn info() -> Info {
    let license = License::new("Apache-2.0").identifier("Apache-2.0");
    Info::new("FaceofMind User API", VERSION).description(DESCRIPTION).license(license)
}

fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    document.paths.values_mut().flat_map(|path| path.operations.values_mut())
}

fn used_tags(document: &mut OpenApi) -> Vec<String> {
    operations(document).flat_map(|operation| operation.tags.clone()).collect()
}

/// Gives every error answer that has no content yet the problem's. So an endpoint only says
/// `responses((status_code = 409, description = "…"))`.
fn explain_refusals(operation: &mut Operation) {
    for (status, response) in operation.responses.iter_mut() {
        if let RefOr::Type(response) = response
            && status.starts_with(['4', '5'])
            && response.contents.is_empty()
        {
            *response = explained(std::mem::take(response));
        }
    }
}

fn explained(response: Response) -> Response {
    response.add_content("application/problem+json", Content::new(Ref::from_schema_name("Problem")))
}

/// `faceofmind::http::auth::register` becomes `register`; where several end alike, each also gets its resource's name:
/// `users_list`, `sessions_list`.
fn shorten_operation_ids(document: &mut OpenApi) {
    let mut ends = HashMap::<String, usize>::new();
    for operation in operations(document) {
        *ends.entry(last(id(operation)).to_owned()).or_default() += 1;
    }
    for operation in operations(document) {
        let id = id(operation);
        let short = if ends[last(id)] > 1 { last_two(id) } else { last(id).to_owned() };
        operation.operation_id = Some(short);
    }
}

fn id(operation: &Operation) -> &str {
    operation.operation_id.as_deref().unwrap_or_default()
}

fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

fn last_two(path: &str) -> String {
    let mut parts = path.rsplit("::");
    let (end, module) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{module}_{end}")
}

/// salvo names types once for the whole process, so the rule is set once too.
fn name_types_shortly() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_namer(ShortNames));
}

/// Names schemas by their type (`User`, `PageOfUser`, and with the module in front when that is taken), and endpoints
/// by their whole path until [`shorten_operation_ids`].
struct ShortNames;

impl Namer for ShortNames {
    fn assign_name(&self, type_id: TypeId, type_name: &'static str, rule: NameRule) -> String {
        let name = match rule {
            NameRule::Force(name) => name.to_owned(),
            NameRule::Auto if is_endpoint(type_name) => type_name.to_owned(),
            NameRule::Auto => free_name(type_id, type_name),
        };
        set_name_type_info(name.clone(), type_id, type_name);
        name
    }
}

fn is_endpoint(type_name: &str) -> bool {
    !type_name.contains('<') && last(type_name).starts_with(char::is_lowercase)
}

fn free_name(type_id: TypeId, type_name: &str) -> String {
    let short = schema_name(type_name);
    let taken = type_info_by_name(&short).is_some_and(|(owner, _)| owner != type_id);
    if taken { last_two(type_name).replace('_', "") } else { short }
}

/// `a::Page<b::User>` is `PageOfUser`.
fn schema_name(type_name: &str) -> String {
    let names = type_name.split(['<', '>', ',']).map(|part| last(part.trim()));
    names.filter(|name| !name.is_empty()).collect::<Vec<_>>().join("Of")
}

#[cfg(test)]
mod tests {
    use salvo::{
        oapi::{RouterExt, ToSchema, endpoint},
        writing::Json,
    };
    use serde::Serialize;
    use serde_json::Value;

    use super::*;
    use crate::http::{answers::Created, path::PathId};

    #[derive(Serialize, ToSchema)]
    #[salvo(schema(example = json!({ "id": 7 })))]
    struct Parrot {
        id: i64,
    }

    #[derive(Serialize, ToSchema)]
    struct Cage<T: ToSchema + 'static> {
        inside: T,
    }

    mod zoo {
        use salvo::Writer;

        use super::*;

        /// Shows a parrot.
        ///
        /// Only one.
        #[endpoint(responses((status_code = 409, description = "The parrot is asleep")))]
        pub(super) async fn show(id: PathId) -> Result<Json<Parrot>, Problem> {
            Ok(Json(Parrot { id: id.0 }))
        }

        #[endpoint]
        pub(super) async fn build() -> Created<Cage<Parrot>> {
            Created(Cage { inside: Parrot { id: 1 } })
        }
    }

    mod shop {
        use super::*;

        #[endpoint]
        pub(super) async fn show() -> Json<Parrot> {
            Json(Parrot { id: 2 })
        }
    }

    fn written() -> Value {
        let zoo = Router::with_path("zoo/{id}").oapi_tag("users").get(zoo::show);
        let routes =
            Router::with_path("api/v1").push(zoo).push(Router::with_path("shop").get(shop::show).post(zoo::build));
        serde_json::from_str(&print(&routes).expect("JSON")).expect("JSON")
    }

    #[test]
    fn operations_are_named_by_their_functions_and_by_their_modules_where_two_are_alike() {
        let document = written();
        assert_eq!(document["openapi"], "3.1.0");
        let id = |path: &str, method: &str| document["paths"][path][method]["operationId"].clone();
        assert_eq!(id("/api/v1/zoo/{id}", "get"), "zoo_show");
        assert_eq!(id("/api/v1/shop", "get"), "shop_show");
        assert_eq!(id("/api/v1/shop", "post"), "build");
    }

    #[test]
    fn schemas_are_named_by_their_types_alone() {
        let schemas = written()["components"]["schemas"].clone();
        let names: Vec<_> = schemas.as_object().expect("schemas").keys().collect();
        assert_eq!(names, ["CageOfParrot", "FieldError", "Parrot", "Problem"]);
    }

    #[test]
    fn an_endpoint_tells_what_it_does_and_every_refusal_is_a_problem() {
        let show = written()["paths"]["/api/v1/zoo/{id}"]["get"].clone();
        assert_eq!((&show["summary"], &show["description"]), (&"Shows a parrot.".into(), &"Only one.".into()));
        let statuses: Vec<_> = show["responses"].as_object().expect("responses").keys().collect();
        assert_eq!(statuses, ["200", "409", "422", "500", "503"]);
        assert_eq!(show["responses"]["409"]["description"], "The parrot is asleep");
        for status in ["409", "422", "500", "503"] {
            let problem = &show["responses"][status]["content"]["application/problem+json"]["schema"];
            assert_eq!(problem["$ref"], "#/components/schemas/Problem", "for {status}");
        }
    }

    #[test]
    fn only_tags_that_are_used_are_listed() {
        let tags = written()["tags"].clone();
        let names: Vec<_> = tags.as_array().expect("tags").iter().map(|tag| tag["name"].clone()).collect();
        assert_eq!(names, ["users"]);
    }

    #[test]
    fn an_operation_that_needs_a_token_says_so() {
        let (mut components, mut operation) = (Components::new(), Operation::new());
        needs_bearer(&mut components, &mut operation);
        let written = serde_json::to_value(&operation).expect("JSON");
        assert_eq!(written["security"], serde_json::json!([{ "bearer": [] }]));
        assert!(written["responses"]["401"].is_object());
        assert_eq!(super::tests::written()["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    }
}
