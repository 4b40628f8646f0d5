//! `/auth`: registration, login, logout, and the user's logins.

use faceofmind_base::Timestamp;
use faceofmind_domain::logins::{self, EndAllLogins, EndLogin, ListLogins, PasswordLogin, RefreshTokens, TokenPair};
use faceofmind_model::LoginId;
use salvo::{
    Depot, Request, Response, Router, Writer, async_trait,
    oapi::{Components, EndpointOutRegister, Operation, RouterExt, ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use crate::http::{
    body::Body,
    caller::{Anonymous, Caller},
    client::{device_cookie_header, set_device_cookie},
    fields::request,
    openapi::add_to_success,
    path::PathId,
    problem::Problem,
    responses::MessageBody,
    state::{AppState, State},
    users::{UserProfile, UserView},
    validators::{EmailAddress, Password, Secret},
};

mod passwords;
mod registration;

/// The routes under `/auth`.
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

request! {
    /// An e-mail address and a password.
    #[schema("LoginRequest", example = { "email": "ada@example.org", "password": "password123" })]
    struct LoginRequest {
        email: EmailAddress,
        password: Password,
    }
}

/// The tokens of a login, and its user.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "LoginResponse", example = json!({
    "access_token": "eyJ…", "refresh_token": "eyJ…", "token_type": "bearer", "expires_in": 1800, "id": 7,
    "email": "ada@example.org", "first_name": "Ada", "last_name": "Lovelace", "role": "user", "status": "active",
    "created_at": "2026-11-23T08:00:00+00:00"
})))]
struct LoginResponse {
    /// The token for the header `Authorization: Bearer`.
    access_token: String,
    /// The token for the next `refresh`.
    refresh_token: String,
    token_type: &'static str,
    /// How long the access token is valid, in seconds.
    expires_in: i64,
    #[serde(flatten)]
    #[salvo(schema(inline))]
    user: UserView,
}

impl From<TokenPair> for LoginResponse {
    fn from(pair: TokenPair) -> Self {
        Self {
            access_token: pair.access_token,
            refresh_token: pair.refresh_token,
            token_type: "bearer",
            expires_in: pair.expires_in,
            user: UserView::from(&*pair.user),
        }
    }
}

/// The tokens of a login as their document, and the device token in a cookie.
struct LoginTokens {
    tokens: TokenPair,
    /// Whether browsers send the cookie over TLS alone.
    secure: bool,
}

#[async_trait]
impl Writer for LoginTokens {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        set_device_cookie(res, &self.tokens.device_token, self.secure);
        res.render(Json(LoginResponse::from(self.tokens)));
    }
}

impl EndpointOutRegister for LoginTokens {
    fn register(components: &mut Components, operation: &mut Operation) {
        Json::<LoginResponse>::register(components, operation);
        add_to_success(operation, "Set-Cookie", device_cookie_header());
    }
}

/// Logs in with an e-mail address and a password.
///
/// A 401 does not say which of the two is wrong. For an account whose address is not verified, the right password is
/// answered with 400, and a new code is mailed. The response sets a cookie, by which later logins of the same device are
/// known: what strangers do does not bar them.
#[endpoint(operation_id = "auth_login", parameters(
    ("User-Agent" = Option<String>, Header, description = "The device, as the user's logins and mails name it. Its \
        first 200 printable ASCII characters are kept.")
), responses(
    (status_code = 400, description = "The password is right, and the address is not verified"),
    (status_code = 401, description = "The address or the password is wrong"),
    (status_code = 403, description = "The password is right, and the account is suspended or deactivated")
))]
async fn login(state: State<AppState>, client: Anonymous, body: Body<LoginRequest>) -> Result<LoginTokens, Problem> {
    let (LoginRequest { email, password }, Anonymous { context, device }) = (body.0, client);
    let tokens = state.modules.logins.ask(PasswordLogin { email, password, device, context }).await?;
    Ok(LoginTokens { tokens, secure: state.secure_cookies })
}

request! {
    /// A refresh token.
    #[schema("RefreshRequest", example = { "refresh_token": "eyJ…" })]
    struct RefreshRequest {
        refresh_token: Secret<0, 4096>,
    }
}

/// Exchanges a refresh token for new tokens. The refresh token can be used once.
///
/// The previous token, sent again, gets the same new tokens while these have not been used, or within ten seconds. Any
/// other reuse of a token ends the login. No limit counts these calls: no client can guess a token.
#[endpoint(operation_id = "auth_refresh", responses(
    (status_code = 401, description = "The refresh token is malformed, expired, used or revoked")
))]
async fn refresh(state: State<AppState>, body: Body<RefreshRequest>) -> Result<LoginTokens, Problem> {
    let tokens = state.modules.logins.ask(RefreshTokens { refresh_token: body.0.refresh_token }).await?;
    Ok(LoginTokens { tokens, secure: state.secure_cookies })
}

/// Ends the login of the access token. Its tokens stop working at once.
#[endpoint(operation_id = "auth_logout")]
async fn logout(state: State<AppState>, caller: Caller) -> Result<Json<MessageBody>, Problem> {
    state.modules.logins.ask(EndLogin { user: caller.user.id, login: caller.login }).await?;
    Ok(MessageBody::json("Successfully logged out"))
}

/// Ends all logins of the user.
#[endpoint(operation_id = "auth_logout_all")]
async fn logout_all(state: State<AppState>, caller: Caller) -> Result<Json<MessageBody>, Problem> {
    state.modules.logins.ask(EndAllLogins { user: caller.user.id }).await?;
    Ok(MessageBody::json("Successfully logged out everywhere"))
}

/// Returns the user of the access token.
#[endpoint(operation_id = "auth_show_me")]
async fn me(caller: Caller) -> Json<UserProfile> {
    Json(UserProfile::from(&*caller.user))
}

/// A login of the user.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "LoginSummary", example = json!({
    "id": 3, "device": "FaceofMind/2.1 (Android)", "address": "203.0.113.7", "current": true,
    "created_at": "2026-11-23T08:00:00+00:00", "last_used_at": "2026-11-23T08:20:00+00:00"
})))]
struct LoginSummary {
    id: i64,
    /// The device, as its `User-Agent` names it.
    device: String,
    /// The IP address from which the user logged in.
    address: String,
    #[salvo(schema(value_type = String, format = DateTime))]
    created_at: Timestamp,
    #[salvo(schema(value_type = String, format = DateTime))]
    last_used_at: Timestamp,
    /// Whether it is the login of this request.
    current: bool,
}

impl From<logins::LoginSummary> for LoginSummary {
    fn from(summary: logins::LoginSummary) -> Self {
        let logins::LoginSummary { id, device, client_ip, created_at, last_used_at, current } = summary;
        Self { id: id.0, device, address: client_ip, created_at, last_used_at, current }
    }
}

/// Lists the user's logins that can still be used, newest first.
#[endpoint(operation_id = "logins_list")]
async fn list_logins(state: State<AppState>, caller: Caller) -> Result<Json<Vec<LoginSummary>>, Problem> {
    let logins = state.modules.logins.ask(ListLogins { user: caller.user.id, current: caller.login }).await?;
    Ok(Json(logins.into_iter().map(LoginSummary::from).collect()))
}

/// Ends a login of the user.
#[endpoint(operation_id = "logins_end", responses((status_code = 404, description = "The user has no such login")))]
async fn end_login(state: State<AppState>, caller: Caller, id: PathId) -> Result<Json<MessageBody>, Problem> {
    if state.modules.logins.ask(EndLogin { user: caller.user.id, login: LoginId(id.0) }).await? {
        Ok(MessageBody::json("Log-in ended"))
    } else {
        Err(Problem::login_not_found())
    }
}
