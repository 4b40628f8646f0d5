//! `/users`: managing accounts, one's own and, for admins, others'.

use faceofmind_actors::user_registry::{
    DeleteUser, GetUser, ListUsers, Role, Status, UpdateUser, User, UserChange, UserId, UserPage,
};
use faceofmind_kit::Timestamp;
use salvo::{
    Router, Writer,
    oapi::{RouterExt, ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use super::{
    answers::Message,
    body::Body,
    caller::{Admin, Caller},
    cursor,
    fields::{Fields, FromFields, Read},
    kinds::{Refusal, capped, is_language_tag, name, parsed, text},
    path::PathId,
    problem::{FieldError, Loc, Problem},
    query::Query,
    shared::Shared,
    time_zone::known,
    words::{RoleWord, StatusWord},
};
use crate::app::Rooms;

mod address;
mod erase;
mod export;

/// The calls under `/users`.
pub fn router() -> Router {
    let one = Router::with_path("{id}").get(show).put(update).delete(delete);
    Router::with_path("users")
        .oapi_tag("users")
        .get(list)
        .push(Router::with_path("me").get(me))
        .push(address::router())
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
    #[salvo(schema(value_type = RoleWord))]
    role: &'static str,
    #[salvo(schema(value_type = StatusWord))]
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

/// What was done, and the user as it is now.
#[derive(Serialize, ToSchema)]
pub struct Welcomed {
    /// One sentence.
    pub message: &'static str,
    /// As it is now.
    pub user: UserView,
}

/// Which users, and how many.
#[derive(ToSchema)]
struct Wanted {
    #[salvo(schema(value_type = Option<StatusWord>))]
    status: Option<Status>,
    #[salvo(schema(value_type = Option<RoleWord>))]
    role: Option<Role>,
    /// Part of a name or of an e-mail address.
    query: Option<String>,
    /// `next` of the page before.
    #[salvo(schema(value_type = Option<String>))]
    after: Option<i64>,
    /// How many, 1 to 100; 50 unless told.
    #[salvo(schema(value_type = Option<i64>, minimum = 1, maximum = 100))]
    limit: u32,
}

impl FromFields for Wanted {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let status = fields.optional("status", parsed(status));
        let role = fields.optional("role", parsed(role));
        let query = fields.optional("query", text(1..=254));
        let after = fields.optional("after", parsed(cursor::read));
        let limit = fields.or("limit", 50, capped(1..=100));
        fields.finish(|valid| Self {
            status: status.get(valid),
            role: role.get(valid),
            query: query.get(valid),
            after: after.get(valid),
            limit: u32::try_from(limit.get(valid)).unwrap_or(u32::MAX),
        })
    }
}

impl From<Wanted> for ListUsers {
    fn from(wanted: Wanted) -> Self {
        let Wanted { status, role, query, after, limit } = wanted;
        Self { status, role, query, after: after.map(UserId), limit }
    }
}

fn status(word: &str) -> Result<Status, &'static str> {
    Status::parse(word).ok_or("must be one of inactive, active, deactivated, suspended")
}

fn role(word: &str) -> Result<Role, &'static str> {
    Role::parse(word).ok_or("must be one of user, professional, admin")
}

/// A page of users.
#[derive(Serialize, ToSchema)]
struct Users {
    results: Vec<UserView>,
    /// How many there are on all pages.
    total: i64,
    /// Where the next page begins: the value for `after`; null on the last.
    next: Option<String>,
}

impl From<UserPage> for Users {
    fn from(page: UserPage) -> Self {
        Self {
            results: page.results.iter().map(UserView::from).collect(),
            total: page.total,
            next: page.next.map(|id| cursor::write(id.0)),
        }
    }
}

/// Lists users, in the order of their ids.
#[endpoint]
async fn list(rooms: Shared<Rooms>, _admin: Admin, wanted: Query<Wanted>) -> Result<Json<Users>, Problem> {
    Ok(Json(rooms.accounts.ask(ListUsers::from(wanted.0)).await?.into()))
}

/// The user who asks, as `/auth/me` tells.
#[endpoint]
async fn me(caller: Caller) -> Json<UserView> {
    Json(UserView::from(&*caller.user))
}

/// One user: oneself, or for admins anyone.
#[endpoint(responses(
    (status_code = 403, description = "Another user"),
    (status_code = 404, description = "There is no such user")
))]
async fn show(rooms: Shared<Rooms>, caller: Caller, id: PathId) -> Result<Json<UserView>, Problem> {
    let id = UserId(id.0);
    caller.may_manage(id)?;
    let user = rooms.accounts.ask(GetUser { id }).await?.ok_or_else(|| Problem::not_found("There is no such user."))?;
    Ok(Json(UserView::from(&user)))
}

/// What is to be changed; what is left out stays. Only admins change `role` and `status`: from others they are ignored.
#[derive(ToSchema)]
#[salvo(schema(example = json!({ "first_name": "Ada", "time_zone": "Asia/Manila" })))]
struct Update {
    #[salvo(schema(min_length = 1, max_length = 100))]
    first_name: Option<String>,
    #[salvo(schema(min_length = 1, max_length = 100))]
    last_name: Option<String>,
    /// A name of the IANA time zone database.
    time_zone: Option<String>,
    /// A BCP 47 tag.
    language: Option<String>,
    #[salvo(schema(value_type = Option<RoleWord>))]
    role: Option<Word<Role>>,
    #[salvo(schema(value_type = Option<StatusWord>))]
    status: Option<Word<Status>>,
}

/// A word that only admins may send: whether it is a known one matters only then.
type Word<T> = Result<T, Refusal>;

impl FromFields for Update {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let first_name = fields.optional("first_name", name());
        let last_name = fields.optional("last_name", name());
        let time_zone = fields.optional("time_zone", parsed(time_zone));
        let language = fields.optional("language", parsed(language));
        let role = fields.optional("role", |given| Ok(parsed(role)(given)));
        let status = fields.optional("status", |given| Ok(parsed(status)(given)));
        fields.finish(|valid| Self {
            first_name: first_name.get(valid),
            last_name: last_name.get(valid),
            time_zone: time_zone.get(valid),
            language: language.get(valid),
            role: role.get(valid),
            status: status.get(valid),
        })
    }
}

/// Its name as the database spells it.
fn time_zone(name: &str) -> Result<String, Refusal> {
    known(name).map(|zone| zone.iana_name().unwrap_or(name).to_owned())
}

fn language(tag: &str) -> Result<String, &'static str> {
    is_language_tag(tag).then(|| tag.to_owned()).ok_or("must be a language tag, such as en or fil")
}

impl Update {
    fn by(self, caller: &Caller) -> Result<UserChange, Problem> {
        let admin = caller.is_admin();
        let mut refused = Vec::new();
        let role = allowed("role", self.role.filter(|_| admin), &mut refused);
        let status = allowed("status", self.status.filter(|_| admin), &mut refused);
        if !refused.is_empty() {
            return Err(Problem::invalid(refused));
        }
        let Self { first_name, last_name, time_zone, language, .. } = self;
        Ok(UserChange { first_name, last_name, time_zone, language, role, status })
    }
}

fn allowed<T>(field: &'static str, word: Option<Word<T>>, refused: &mut Vec<FieldError>) -> Option<T> {
    let loc = || vec![Loc::Name("body".into()), Loc::Name(field.into())];
    word.and_then(|word| word.map_err(|msg| refused.push(FieldError { loc: loc(), msg })).ok())
}

/// Changes a user: oneself, or for admins anyone.
#[endpoint(responses(
    (status_code = 403, description = "Another user"),
    (status_code = 404, description = "There is no such user"),
    (status_code = 409, description = "The last active admin")
))]
async fn update(
    rooms: Shared<Rooms>,
    caller: Caller,
    id: PathId,
    body: Body<Update>,
) -> Result<Json<UserView>, Problem> {
    let user = UserId(id.0);
    caller.may_manage(user)?;
    let (change, events) = (body.0.by(&caller)?, caller.origin());
    let user = rooms.accounts.ask(UpdateUser { user, change, require_user_role: false, events }).await?;
    Ok(Json(UserView::from(&user)))
}

/// Deletes a user and all that is theirs.
#[endpoint(responses(
    (status_code = 404, description = "There is no such user"),
    (status_code = 409, description = "The last active admin")
))]
async fn delete(rooms: Shared<Rooms>, admin: Admin, id: PathId) -> Result<Json<Message>, Problem> {
    let events = admin.0.origin();
    rooms.accounts.ask(DeleteUser { user: UserId(id.0), expected_revision: None, events }).await?;
    Ok(Message::json("User deleted successfully"))
}

/// Activates an account without a code.
///
/// The password is kept only if exactly one person ever claimed the address; else the owner resets it.
#[endpoint(responses((status_code = 404, description = "There is no such user")))]
async fn activate(rooms: Shared<Rooms>, admin: Admin, id: PathId) -> Result<Json<Welcomed>, Problem> {
    let (change, events) = (UserChange::status(Status::Active), admin.0.origin());
    let message = UpdateUser { user: UserId(id.0), change, require_user_role: false, events };
    let user = rooms.accounts.ask(message).await?;
    Ok(Json(Welcomed { message: "User activated successfully", user: UserView::from(&user) }))
}

/// Closes an account with the role `user`: one's own, or for admins anyone's. Its log-ins end.
#[endpoint(responses(
    (status_code = 403, description = "Another user, or not an account with the role user"),
    (status_code = 404, description = "There is no such user")
))]
async fn deactivate(rooms: Shared<Rooms>, caller: Caller, id: PathId) -> Result<Json<Welcomed>, Problem> {
    let user = UserId(id.0);
    caller.may_manage(user)?;
    let (change, events) = (UserChange::status(Status::Deactivated), caller.origin());
    let user = rooms.accounts.ask(UpdateUser { user, change, require_user_role: true, events }).await?;
    Ok(Json(Welcomed { message: "User deactivated successfully", user: UserView::from(&user) }))
}

/// Bars an account with the role `user`. Its log-ins end.
#[endpoint(responses((status_code = 404, description = "There is no such user")))]
async fn suspend(rooms: Shared<Rooms>, admin: Admin, id: PathId) -> Result<Json<Welcomed>, Problem> {
    let (change, events) = (UserChange::status(Status::Suspended), admin.0.origin());
    let message = UpdateUser { user: UserId(id.0), change, require_user_role: true, events };
    let user = rooms.accounts.ask(message).await?;
    Ok(Json(Welcomed { message: "User suspended successfully", user: UserView::from(&user) }))
}
