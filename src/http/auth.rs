//! `/auth`: logging in and out, and who one is.

use faceofmind_actors::{
    logins::{EndAllLogins, EndLogin, ListLogins, LoginId, LoginSummary, PasswordLogin, RefreshTokens, TokenPair},
    user_registry::Email,
};
use faceofmind_kit::Timestamp;
use salvo::{
    Router, Writer,
    oapi::{RouterExt, ToSchema, endpoint},
    writing::Json,
};
use secrecy::SecretString;
use serde::Serialize;

use super::{
    answers::Message,
    body::Body,
    caller::{Anonymous, Caller},
    fields::{Fields, FromFields, Read},
    kinds::{parsed, secret},
    path::PathId,
    problem::Problem,
    shared::Shared,
    users::UserView,
};
use crate::app::Rooms;

mod passwords;
mod registration;

/// The calls under `/auth`.
pub fn router() -> Router {
    Router::with_path("auth")
        .oapi_tag("auth")
        .push(Router::with_path("login").post(login))
        .push(Router::with_path("refresh").post(refresh))
        .push(Router::with_path("logout").post(logout))
        .push(Router::with_path("logout-all").post(logout_all))
        .push(Router::with_path("me").get(me))
        .push(Router::with_path("logins").get(list_logins).push(Router::with_path("{id}").delete(end_login)))
        .push(registration::router())
        .push(passwords::router())
}

/// Any password that somebody may type: its rules are for new ones.
pub(in crate::http) fn typed_password()
-> impl FnOnce(super::kinds::Given) -> Result<SecretString, super::kinds::Refusal> {
    secret(0..=1024)
}

/// An e-mail address and its password.
#[derive(ToSchema)]
#[salvo(schema(example = json!({ "email": "ada@example.org", "password": "password123" })))]
struct Credentials {
    #[salvo(schema(value_type = String, max_length = 254))]
    email: Email,
    #[salvo(schema(value_type = String, max_length = 1024))]
    password: SecretString,
}

impl FromFields for Credentials {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let email = fields.required("email", parsed(Email::parse));
        let password = fields.required("password", typed_password());
        fields.finish(|valid| Self { email: email.get(valid), password: password.get(valid) })
    }
}

/// The tokens, and who they are for.
#[derive(Serialize, ToSchema)]
#[salvo(schema(example = json!({
    "access_token": "eyJ…", "refresh_token": "eyJ…", "token_type": "bearer", "expires_in": 1800, "id": 7,
    "email": "ada@example.org", "first_name": "Ada", "last_name": "Lovelace", "role": "user", "status": "active",
    "created_at": "2026-11-23T08:00:00+00:00"
})))]
struct Tokens {
    /// For the `Authorization: Bearer` header.
    access_token: String,
    /// For the next `refresh`.
    refresh_token: String,
    token_type: &'static str,
    /// Seconds that the access token lives.
    expires_in: i64,
    #[serde(flatten)]
    #[salvo(schema(inline))]
    user: UserView,
}

impl From<TokenPair> for Tokens {
    fn from(logged_in: TokenPair) -> Self {
        Self {
            access_token: logged_in.access_token,
            refresh_token: logged_in.refresh_token,
            token_type: "bearer",
            expires_in: logged_in.expires_in,
            user: UserView::from(&*logged_in.user),
        }
    }
}

/// Logs in with an e-mail address and a password.
///
/// Which of the two is wrong is not told. An account that is not verified is told so only after the right password, and a fresh code goes
/// out.
#[endpoint(responses(
    (status_code = 400, description = "The password is right, the address is not verified"),
    (status_code = 401, description = "No such pair"),
    (status_code = 403, description = "The password is right, the account is suspended or deactivated")
))]
async fn login(rooms: Shared<Rooms>, asks: Anonymous, body: Body<Credentials>) -> Result<Json<Tokens>, Problem> {
    let Credentials { email, password } = body.0;
    let logged_in = rooms.house().logins.ask(PasswordLogin { email, password, context: asks.0 }).await?;
    Ok(Json(logged_in.into()))
}

/// A refresh token.
#[derive(ToSchema)]
#[salvo(schema(example = json!({ "refresh_token": "eyJ…" })))]
struct RefreshToken {
    #[salvo(schema(value_type = String, max_length = 4096))]
    refresh_token: SecretString,
}

impl FromFields for RefreshToken {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let refresh_token = fields.required("refresh_token", secret(0..=4096));
        fields.finish(|valid| Self { refresh_token: refresh_token.get(valid) })
    }
}

/// Makes new tokens from a refresh token, which is used up.
///
/// The token just replaced, sent again, gets the same successor again while that has not been used, or within ten seconds. Any other replay
/// ends the log-in.
#[endpoint(responses((status_code = 401, description = "Not a refresh token that can be used")))]
async fn refresh(rooms: Shared<Rooms>, _asks: Anonymous, body: Body<RefreshToken>) -> Result<Json<Tokens>, Problem> {
    let logged_in = rooms.house().logins.ask(RefreshTokens { refresh_token: body.0.refresh_token }).await?;
    Ok(Json(logged_in.into()))
}

/// Ends the log-in that asks: its tokens stop working at once.
#[endpoint]
async fn logout(rooms: Shared<Rooms>, caller: Caller) -> Result<Json<Message>, Problem> {
    rooms.house().logins.ask(EndLogin { user: caller.user.id, login: caller.login }).await?;
    Ok(Message::json("Successfully logged out"))
}

/// Ends every log-in of the user.
#[endpoint]
async fn logout_all(rooms: Shared<Rooms>, caller: Caller) -> Result<Json<Message>, Problem> {
    rooms.house().logins.ask(EndAllLogins { user: caller.user.id }).await?;
    Ok(Message::json("Successfully logged out everywhere"))
}

/// The user who asks.
#[endpoint]
async fn me(caller: Caller) -> Json<UserView> {
    Json(UserView::from(&*caller.user))
}

/// One of the user's log-ins.
#[derive(Serialize, ToSchema)]
#[salvo(schema(example = json!({
    "id": 3, "device": "FaceofMind/2.1 (Android)", "address": "203.0.113.7", "current": true,
    "created_at": "2026-11-23T08:00:00+00:00", "last_used_at": "2026-11-23T08:20:00+00:00"
})))]
struct LoginView {
    id: i64,
    /// What the person logged in with, by its own word.
    device: String,
    /// The network address that they logged in from.
    address: String,
    #[salvo(schema(value_type = String, format = DateTime))]
    created_at: Timestamp,
    #[salvo(schema(value_type = String, format = DateTime))]
    last_used_at: Timestamp,
    /// Whether it is the one that asks.
    current: bool,
}

impl From<LoginSummary> for LoginView {
    fn from(summary: LoginSummary) -> Self {
        let LoginSummary { id, device, client_ip, created_at, last_used_at, current } = summary;
        Self { id: id.0, device, address: client_ip, created_at, last_used_at, current }
    }
}

/// The user's own log-ins that can still be used, newest first.
#[endpoint]
async fn list_logins(rooms: Shared<Rooms>, caller: Caller) -> Result<Json<Vec<LoginView>>, Problem> {
    let listed = rooms.house().logins.ask(ListLogins { user: caller.user.id, current: caller.login }).await?;
    Ok(Json(listed.into_iter().map(LoginView::from).collect()))
}

/// Ends one of the user's own log-ins.
#[endpoint(responses((status_code = 404, description = "There is no such log-in of yours")))]
async fn end_login(rooms: Shared<Rooms>, caller: Caller, id: PathId) -> Result<Json<Message>, Problem> {
    if rooms.house().logins.ask(EndLogin { user: caller.user.id, login: LoginId(id.0) }).await? {
        Ok(Message::json("Log-in ended"))
    } else {
        Err(Problem::not_found("There is no such log-in."))
    }
}
