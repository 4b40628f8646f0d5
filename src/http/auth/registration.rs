//! `/auth/register` and `/auth/verify-otp`.

use faceofmind_domain::accounts::{Register, VerifyEmail};
use salvo::{
    Router, Writer,
    oapi::{ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use crate::http::{
    body::Body,
    caller::{Anonymous, Uncounted},
    fields::request,
    problem::Problem,
    responses::{Created, WithStatus},
    state::{AppState, State},
    users::UserMessage,
    validators::{EmailAddress, Name, OtpCode, Secret},
};

pub(super) fn router() -> Router {
    Router::new()
        .push(Router::with_path("register").post(register))
        .push(Router::with_path("verify-otp").post(verify_otp))
}

request! {
    /// A new account. Other fields, such as `role`, are ignored.
    #[schema("RegisterRequest", example = {
        "email": "ada@example.org", "password": "password123", "first_name": "Ada", "last_name": "Lovelace"
    })]
    struct RegisterRequest {
        email: EmailAddress,
        /// 8 to 128 characters.
        password: Secret<8, 128>,
        first_name: Name,
        last_name: Name,
    }
}

/// The fields of the request. An id would reveal whether the address is new.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "RegisteredUser", example = json!({
    "email": "ada@example.org", "first_name": "Ada", "last_name": "Lovelace", "role": "user", "status": "inactive"
})))]
struct RegisteredUser {
    email: String,
    first_name: String,
    last_name: String,
    role: &'static str,
    status: &'static str,
}

/// An accepted registration.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "RegisterResponse"))]
struct RegisterResponse {
    message: &'static str,
    user: RegisteredUser,
}

/// Registers an account and mails a 6-digit code.
///
/// The response is the same whether the address has an account or not. Registering again sends another code.
#[endpoint(operation_id = "auth_register", parameters(
    ("Accept-Language" = Option<String>, Header, description = "The most preferred available language becomes the \
        user's (RFC 9110 §12.5.4). At most 16 are read, and a malformed one is ignored.")
))]
async fn register(
    state: State<AppState>,
    client: Anonymous,
    body: Body<RegisterRequest>,
) -> Result<Created<RegisterResponse>, Problem> {
    let RegisterRequest { email, password, first_name, last_name } = body.0;
    let user = RegisteredUser {
        email: email.as_str().to_owned(),
        first_name: first_name.clone(),
        last_name: last_name.clone(),
        role: "user",
        status: "inactive",
    };
    state.modules.accounts.ask(Register { email, password, first_name, last_name, context: client.context }).await?;
    let message = "User registered successfully. Please check your email for the code.";
    Ok(WithStatus(RegisterResponse { message, user }))
}

request! {
    /// An e-mail address and the code that was mailed to it.
    #[schema("VerifyOtpRequest", example = { "email": "ada@example.org", "otp": "123456" })]
    struct VerifyOtpRequest {
        email: EmailAddress,
        otp: OtpCode,
    }
}

/// Verifies an e-mail address with the code that was mailed to it, and activates the account.
#[endpoint(operation_id = "auth_verify_otp", responses(
    (status_code = 400, description = "The code is wrong, expired or used")
))]
async fn verify_otp(
    state: State<AppState>,
    client: Uncounted,
    body: Body<VerifyOtpRequest>,
) -> Result<Json<UserMessage>, Problem> {
    let VerifyOtpRequest { email, otp: code } = body.0;
    let context = client.count_unless_link(&state, &code).await?;
    let user = state.modules.accounts.ask(VerifyEmail { email, code, context }).await?;
    Ok(UserMessage::json("Email verified successfully.", &user))
}
