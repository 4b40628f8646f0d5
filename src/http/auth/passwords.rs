//! `/auth/request-password-reset`, `/auth/reset-password` and `/auth/change-password`.

use faceofmind_actors::user_registry::{ChangePassword, Email, RequestPasswordReset, ResetPassword};
use salvo::{
    Router, Writer,
    oapi::{ToSchema, endpoint},
    writing::Json,
};
use secrecy::SecretString;

use super::typed_password;
use crate::{
    app::Rooms,
    http::{
        answers::{Accepted, Message},
        body::Body,
        caller::{Anonymous, Caller},
        fields::{Fields, FromFields, Read},
        kinds::{parsed, secret},
        problem::Problem,
        shared::Shared,
    },
};

pub(super) fn router() -> Router {
    Router::new()
        .push(Router::with_path("request-password-reset").post(request_password_reset))
        .push(Router::with_path("reset-password").post(reset_password))
        .push(Router::with_path("change-password").post(change_password))
}

/// An address whose password is forgotten.
#[derive(ToSchema)]
#[salvo(schema(example = json!({ "email": "ada@example.org" })))]
struct Address {
    #[salvo(schema(value_type = String, max_length = 254))]
    email: Email,
}

impl FromFields for Address {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let email = fields.required("email", parsed(Email::parse));
        fields.finish(|valid| Self { email: email.get(valid) })
    }
}

/// Has a code mailed, if the address has an account; the answer is the same if not.
#[endpoint]
async fn request_password_reset(
    rooms: Shared<Rooms>,
    asks: Anonymous,
    body: Body<Address>,
) -> Result<Accepted<Message>, Problem> {
    rooms.accounts.ask(RequestPasswordReset { email: body.0.email, context: asks.0 }).await?;
    Ok(Accepted(Message::new("If the address has an account, a code is on its way.")))
}

/// A code from a mail and the password to be set with it.
#[derive(ToSchema)]
#[salvo(schema(example = json!({ "email": "ada@example.org", "otp": "123456", "new_password": "a long sentence" })))]
struct Reset {
    #[salvo(schema(value_type = String, max_length = 254))]
    email: Email,
    #[salvo(schema(value_type = String, max_length = 64))]
    otp: SecretString,
    #[salvo(schema(value_type = String, min_length = 8, max_length = 128))]
    new_password: SecretString,
}

impl FromFields for Reset {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let email = fields.required("email", parsed(Email::parse));
        let otp = fields.required("otp", secret(0..=64));
        let new_password = fields.required("new_password", typed_password());
        fields.finish(|valid| Self {
            email: email.get(valid),
            otp: otp.get(valid),
            new_password: new_password.get(valid),
        })
    }
}

/// Sets a new password with the code that was mailed; every log-in of the user ends.
///
/// The code is looked at before the password: a right code with a password that is not taken is a 422, and the code stays good.
#[endpoint(responses((status_code = 400, description = "The code is wrong, expired or used up")))]
async fn reset_password(rooms: Shared<Rooms>, asks: Anonymous, body: Body<Reset>) -> Result<Json<Message>, Problem> {
    let Reset { email, otp: code, new_password } = body.0;
    rooms.accounts.ask(ResetPassword { email, code, new_password, context: asks.0 }).await?;
    Ok(Message::json("Password has been reset successfully."))
}

/// The password that is, and the one that shall be.
#[derive(ToSchema)]
#[salvo(schema(example = json!({ "current_password": "password123", "new_password": "a long sentence" })))]
struct Change {
    #[salvo(schema(value_type = String, max_length = 1024))]
    current_password: SecretString,
    #[salvo(schema(value_type = String, min_length = 8, max_length = 128))]
    new_password: SecretString,
}

impl FromFields for Change {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let current_password = fields.required("current_password", typed_password());
        let new_password = fields.required("new_password", typed_password());
        fields.finish(|valid| Self {
            current_password: current_password.get(valid),
            new_password: new_password.get(valid),
        })
    }
}

/// Changes the password; the user's other log-ins end.
#[endpoint(responses(
    (status_code = 400, description = "The current password is another"),
    (status_code = 429, description = "The current password was wrong too often")
))]
async fn change_password(rooms: Shared<Rooms>, caller: Caller, body: Body<Change>) -> Result<Json<Message>, Problem> {
    let Change { current_password, new_password } = body.0;
    let verified = caller.prove_password(&rooms, &current_password).await?;
    let Caller { login: keep, client: context, .. } = caller;
    rooms.accounts.ask(ChangePassword { verified, new_password, keep, context }).await?;
    Ok(Message::json("Password changed successfully."))
}
