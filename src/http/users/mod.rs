//! `/users`: accounts, the caller's own and, for admins, all.

use faceofmind_base::Timestamp;
use faceofmind_domain::accounts::{self, DeleteUser, GetUser, ListUsers, UpdateUser};
use faceofmind_model::{Role, Status, User, UserChange, UserId, event::EventContext};
use salvo::{
    Router, Writer,
    oapi::{RouterExt, ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use crate::http::{
    accept_language::LanguageTag,
    body::Body,
    caller::{Admin, Caller},
    cursor::Cursor,
    fields::request,
    path::PathId,
    problem::{FieldError, Problem},
    query::Query,
    responses::MessageBody,
    state::{AppState, State},
    time_zone::TimeZoneName,
    validators::{AdminOnly, Clamped, ErrorMessage, Name, SchemaOf, Text},
};

mod email;
mod erase;
mod export;

/// The routes under `/users`.
pub fn router() -> Router {
    let one = Router::with_path("{id}").get(show).put(update).delete(delete);
    Router::with_path("users")
        .oapi_tag("users")
        .get(list)
        .push(Router::with_path("me").get(me))
        .push(email::router())
        .push(export::router())
        .push(erase::router())
        .push(
            one.push(Router::with_path("activate").patch(activate))
                .push(Router::with_path("deactivate").patch(deactivate))
                .push(Router::with_path("suspend").patch(suspend)),
        )
}

/// A user.
#[derive(Clone, Serialize, ToSchema)]
#[salvo(schema(name = "User", example = json!({
    "id": 7, "email": "ada@example.org", "first_name": "Ada", "last_name": "Lovelace", "role": "user",
    "status": "active", "created_at": "2026-11-23T08:00:00+00:00"
})))]
pub struct UserView {
    id: i64,
    email: String,
    first_name: String,
    last_name: String,
    #[salvo(schema(value_type = SchemaOf<Role>))]
    role: &'static str,
    #[salvo(schema(value_type = SchemaOf<Status>))]
    status: &'static str,
    #[salvo(schema(value_type = String, format = DateTime))]
    created_at: Timestamp,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.0,
            email: user.email.as_str().to_owned(),
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            role: user.role.as_str(),
            status: user.status.as_str(),
            created_at: user.created_at,
        }
    }
}

/// A user with their settings.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "UserProfile", example = json!({
    "id": 7, "email": "ada@example.org", "first_name": "Ada", "last_name": "Lovelace", "role": "user",
    "status": "active", "created_at": "2026-11-23T08:00:00+00:00", "time_zone": "Asia/Manila", "language": null
})))]
pub struct UserProfile {
    id: i64,
    email: String,
    first_name: String,
    last_name: String,
    #[salvo(schema(value_type = SchemaOf<Role>))]
    role: &'static str,
    #[salvo(schema(value_type = SchemaOf<Status>))]
    status: &'static str,
    #[salvo(schema(value_type = String, format = DateTime))]
    created_at: Timestamp,
    /// A name of the IANA time zone database. Null until it is set; then the service's own counts.
    time_zone: Option<String>,
    /// A BCP 47 tag. Null until it is set; then `Accept-Language` counts.
    language: Option<String>,
}

impl From<&User> for UserProfile {
    fn from(user: &User) -> Self {
        let UserView { id, email, first_name, last_name, role, status, created_at } = user.into();
        let (time_zone, language) = (user.time_zone.clone(), user.language.clone());
        Self { id, email, first_name, last_name, role, status, created_at, time_zone, language }
    }
}

/// What was done, and the user after it.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "UserMessage"))]
pub struct UserMessage {
    /// One sentence for a person.
    message: &'static str,
    /// The user after the change.
    user: UserProfile,
}

impl UserMessage {
    /// A 200 with this message.
    pub fn json(message: &'static str, user: &User) -> Json<Self> {
        Json(Self { message, user: user.into() })
    }
}

request! {
    /// Which users to list, and how many.
    struct UserListQuery {
        status: Option<Status>,
        role: Option<Role>,
        /// Part of a name or of an e-mail address.
        query: Option<Text<0, 254>>,
        /// `next` of the previous page.
        after: Option<Cursor>,
        /// The size of the page, 1 to 100; 50 by default. Larger means 100.
        limit: Clamped<1, 100> = 50,
    }
}

/// A page of users.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "UserPage"))]
struct UserPage {
    results: Vec<UserView>,
    /// The number of users on all pages.
    total: i64,
    /// The value of `after` for the next page. Null on the last page.
    next: Option<String>,
}

impl From<accounts::UserPage> for UserPage {
    fn from(page: accounts::UserPage) -> Self {
        Self {
            results: page.results.iter().map(UserView::from).collect(),
            total: page.total,
            next: page.next.map(|id| Cursor::encode(id.0)),
        }
    }
}

/// Lists users by ascending id.
#[endpoint(operation_id = "users_list")]
async fn list(state: State<AppState>, _admin: Admin, query: Query<UserListQuery>) -> Result<Json<UserPage>, Problem> {
    let UserListQuery { status, role, query, after, limit } = query.0;
    let message = ListUsers { status, role, query, after: after.map(UserId), limit };
    Ok(Json(state.modules.accounts.ask(message).await?.into()))
}

/// Returns the user of the access token, as `/auth/me` does.
#[endpoint(operation_id = "users_show_me")]
async fn me(caller: Caller) -> Json<UserProfile> {
    Json(UserProfile::from(&*caller.user))
}

/// Returns a user: the caller, or for admins any user.
#[endpoint(operation_id = "users_show", responses(
    (status_code = 403, description = "Another user"),
    (status_code = 404, description = "There is no such user")
))]
async fn show(state: State<AppState>, caller: Caller, id: PathId) -> Result<Json<UserProfile>, Problem> {
    let id = UserId(id.0);
    caller.require_self_or_admin(id)?;
    let user = state.modules.accounts.ask(GetUser { id }).await?.ok_or_else(Problem::user_not_found)?;
    Ok(Json(UserProfile::from(&user)))
}

request! {
    /// The fields to change. Only admins can change `role` and `status`; from other callers these two are ignored.
    #[schema("UpdateUserRequest", example = { "first_name": "Ada", "time_zone": "Asia/Manila" })]
    struct UpdateUserRequest {
        first_name: Option<Name>,
        last_name: Option<Name>,
        /// A name of the IANA time zone database.
        time_zone: Option<TimeZoneName>,
        /// A BCP 47 tag.
        language: Option<LanguageTag>,
        role: Option<AdminOnly<Role>>,
        status: Option<AdminOnly<Status>>,
    }
}

impl UpdateUserRequest {
    fn into_change(self, is_admin: bool) -> Result<UserChange, Problem> {
        let Self { first_name, last_name, time_zone, language, role, status } = self;
        let mut errors = Vec::new();
        let role = valid("role", role.filter(|_| is_admin), &mut errors);
        let status = valid("status", status.filter(|_| is_admin), &mut errors);
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        Ok(UserChange { first_name, last_name, time_zone, language, role, status })
    }
}

fn valid<T>(field: &'static str, value: Option<Result<T, ErrorMessage>>, errors: &mut Vec<FieldError>) -> Option<T> {
    value?.map_err(|message| errors.push(FieldError::new("body", field, message))).ok()
}

/// Changes a user: the caller, or for admins any user.
#[endpoint(operation_id = "users_update", responses(
    (status_code = 403, description = "Another user"),
    (status_code = 404, description = "There is no such user"),
    (status_code = 409, description = "The last active admin")
))]
async fn update(
    state: State<AppState>,
    caller: Caller,
    id: PathId,
    body: Body<UpdateUserRequest>,
) -> Result<Json<UserProfile>, Problem> {
    let user = UserId(id.0);
    caller.require_self_or_admin(user)?;
    let (change, events) = (body.0.into_change(caller.is_admin())?, caller.origin());
    let user = state.modules.accounts.ask(UpdateUser { user, change, require_user_role: false, events }).await?;
    Ok(Json(UserProfile::from(&user)))
}

/// Deletes a user and all their data.
#[endpoint(operation_id = "users_delete", responses(
    (status_code = 404, description = "There is no such user"),
    (status_code = 409, description = "The last active admin")
))]
async fn delete(state: State<AppState>, admin: Admin, id: PathId) -> Result<Json<MessageBody>, Problem> {
    let (user, events) = (UserId(id.0), admin.0.origin());
    state.modules.accounts.ask(DeleteUser { user, expected_revision: None, events }).await?;
    Ok(MessageBody::json("User deleted successfully"))
}

fn set_status(id: PathId, status: Status, require_user_role: bool, events: EventContext) -> UpdateUser {
    UpdateUser { user: UserId(id.0), change: UserChange::status(status), require_user_role, events }
}

/// Activates an account without a code.
///
/// The account keeps its password only if one person alone has registered with its address. Otherwise the user must reset it.
#[endpoint(operation_id = "users_activate", responses((status_code = 404, description = "There is no such user")))]
async fn activate(state: State<AppState>, admin: Admin, id: PathId) -> Result<Json<UserMessage>, Problem> {
    let user = state.modules.accounts.ask(set_status(id, Status::Active, false, admin.0.origin())).await?;
    Ok(UserMessage::json("User activated successfully", &user))
}

/// Deactivates an account with the role `user` and ends its logins: the caller's account, or for admins any.
#[endpoint(operation_id = "users_deactivate", responses(
    (status_code = 403, description = "Another user, or an account with another role than user"),
    (status_code = 404, description = "There is no such user")
))]
async fn deactivate(state: State<AppState>, caller: Caller, id: PathId) -> Result<Json<UserMessage>, Problem> {
    caller.require_self_or_admin(UserId(id.0))?;
    let user = state.modules.accounts.ask(set_status(id, Status::Deactivated, true, caller.origin())).await?;
    Ok(UserMessage::json("User deactivated successfully", &user))
}

/// Suspends an account of any role and ends its logins.
#[endpoint(operation_id = "users_suspend", responses(
    (status_code = 404, description = "There is no such user"),
    (status_code = 409, description = "The last active admin")
))]
async fn suspend(state: State<AppState>, admin: Admin, id: PathId) -> Result<Json<UserMessage>, Problem> {
    let user = state.modules.accounts.ask(set_status(id, Status::Suspended, false, admin.0.origin())).await?;
    Ok(UserMessage::json("User suspended successfully", &user))
}
