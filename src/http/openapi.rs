//! The OpenAPI 3.1 document, generated from the endpoints.
//!
//! Extractors and [`Problem`](super::problem::Problem) say what each operation takes and refuses; here the document
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

use super::{problem, root::VERSION};

const DESCRIPTION: &str = "Accounts, sessions and emotions of FaceofMind.\n\nErrors are `application/problem+json` \
    (RFC 9457): branch on `type`, show `detail`. Times are RFC 3339 with an offset, ids are integers. Every path \
    answers with and without a slash at its end.";

const TAGS: &[(&str, &str)] = &[
    ("auth", "Registering, logging in and out, codes and passwords"),
    ("users", "Accounts"),
    ("sessions", "Sessions, detections and what follows from them"),
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

/// Documents that an operation needs a bearer token; for the extractors that prove one.
pub fn needs_bearer(components: &mut Components, operation: &mut Operation) {
    let requirement = SecurityRequirement::new("bearer", Vec::<String>::new());
    operation.securities.get_or_insert_default().push(requirement);
    problem::may_answer(components, operation, &[StatusCode::UNAUTHORIZED]);
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
    response.add_content("application/problem+json", Content::new(Ref::from_schema_name(problem::SCHEMA)))
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
