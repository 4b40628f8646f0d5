//! `/auth/register` and `/auth/verify-otp`.

use faceofmind_actors::user_registry::{Email, Register, VerifyEmail};
use salvo::{
    Router, Writer,
    oapi::{ToSchema, endpoint},
    writing::Json,
};
use secrecy::SecretString;
use serde::Serialize;

use crate::{
    app::Rooms,
    http::{
        answers::Created,
        body::Body,
        caller::Anonymous,
        fields::{Fields, FromFields, Read},
        kinds::{name, parsed, secret},
        problem::Problem,
        shared::Shared,
        users::{UserView, Welcomed},
    },
};

pub(super) fn router() -> Router {
    Router::new()
        .push(Router::with_path("register").post(register))
        .push(Router::with_path("verify-otp").post(verify_otp))
}

/// A person who wants an account. Other fields, `role` among them, are ignored.
#[derive(ToSchema)]
#[salvo(schema(example = json!({
    "email": "ada@example.org", "password": "password123", "first_name": "Ada", "last_name": "Lovelace"
})))]
struct NewAccount {
    #[salvo(schema(value_type = String, max_length = 254))]
    email: Email,
    /// 8 to 128 characters.
    #[salvo(schema(value_type = String, min_length = 8, max_length = 128))]
    password: SecretString,
    #[salvo(schema(min_length = 1, max_length = 100))]
    first_name: String,
    #[salvo(schema(min_length = 1, max_length = 100))]
    last_name: String,
}

impl FromFields for NewAccount {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let email = fields.required("email", parsed(Email::parse));
        let password = fields.required("password", secret(8..=128));
        let first_name = fields.required("first_name", name());
        let last_name = fields.required("last_name", name());
        fields.finish(|valid| Self {
            email: email.get(valid),
            password: password.get(valid),
            first_name: first_name.get(valid),
            last_name: last_name.get(valid),
        })
    }
}

/// What was sent, said back: no id, which would tell new from taken.
#[derive(Serialize, ToSchema)]
#[salvo(schema(example = json!({
    "email": "ada@example.org", "first_name": "Ada", "last_name": "Lovelace", "role": "user", "status": "inactive"
})))]
struct Echo {
    email: String,
    first_name: String,
    last_name: String,
    role: &'static str,
    status: &'static str,
}

/// A registration that was taken.
#[derive(Serialize, ToSchema)]
struct Registered {
    message: &'static str,
    user: Echo,
}

/// Registers, and has a 6-digit code mailed.
///
/// The answer is the same whether the address has an account or not. Registering again sends another code.
#[endpoint]
async fn register(
    rooms: Shared<Rooms>,
    asks: Anonymous,
    body: Body<NewAccount>,
) -> Result<Created<Registered>, Problem> {
    let NewAccount { email, password, first_name, last_name } = body.0;
    let user = Echo {
        email: email.as_str().to_owned(),
        first_name: first_name.clone(),
        last_name: last_name.clone(),
        role: "user",
        status: "inactive",
    };
    rooms.accounts.ask(Register { email, password, first_name, last_name, context: asks.0 }).await?;
    Ok(Created(Registered { message: "User registered successfully. Please check your email for the code.", user }))
}

/// A code from a mail.
#[derive(ToSchema)]
#[salvo(schema(example = json!({ "email": "ada@example.org", "otp": "123456" })))]
struct Code {
    #[salvo(schema(value_type = String, max_length = 254))]
    email: Email,
    #[salvo(schema(value_type = String, max_length = 64))]
    otp: SecretString,
}

impl FromFields for Code {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let email = fields.required("email", parsed(Email::parse));
        let otp = fields.required("otp", secret(0..=64));
        fields.finish(|valid| Self { email: email.get(valid), otp: otp.get(valid) })
    }
}

/// Proves an address with the code that was mailed to it; the account is active then.
#[endpoint(responses((status_code = 400, description = "The code is wrong, expired or used up")))]
async fn verify_otp(rooms: Shared<Rooms>, asks: Anonymous, body: Body<Code>) -> Result<Json<Welcomed>, Problem> {
    let Code { email, otp: code } = body.0;
    let user = rooms.accounts.ask(VerifyEmail { email, code, context: asks.0 }).await?;
    Ok(Json(Welcomed { message: "Email verified successfully.", user: UserView::from(&user) }))
}
