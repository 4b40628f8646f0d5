//! `/users/me/email`: moving one's account to another address.

use faceofmind_actors::user_registry::{ConfirmEmailChange, Email, RequestEmailChange};
use salvo::{
    Router, Writer,
    oapi::{ToSchema, endpoint},
    writing::Json,
};
use secrecy::SecretString;

use super::{UserView, Welcomed};
use crate::{
    app::Rooms,
    http::{
        answers::{Accepted, Message},
        auth::typed_password,
        body::Body,
        caller::Caller,
        fields::{Fields, FromFields, Read},
        kinds::{parsed, secret},
        problem::Problem,
        shared::Shared,
    },
};

pub(super) fn router() -> Router {
    Router::with_path("me/email")
        .post(request_email_change)
        .push(Router::with_path("confirm").post(confirm_email_change))
}

/// Where to move, and the password that is.
#[derive(ToSchema)]
#[salvo(schema(name = "NewEmail", example = json!({ "new_email": "ada@example.com", "current_password": "password123" })))]
struct NewEmail {
    #[salvo(schema(value_type = String, max_length = 254))]
    new_email: Email,
    #[salvo(schema(value_type = String, max_length = 1024))]
    current_password: SecretString,
}

impl FromFields for NewEmail {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let new_email = fields.required("new_email", parsed(Email::parse));
        let current_password = fields.required("current_password", typed_password());
        fields.finish(|valid| Self { new_email: new_email.get(valid), current_password: current_password.get(valid) })
    }
}

/// Asks to move the account to another address: a code goes there, and a notice to the present one, which holds until the code is typed.
///
/// The answer is the same whether the new address has an account or not. To ask again with another address takes back the first.
#[endpoint(responses(
    (status_code = 400, description = "The current password is another"),
    (status_code = 429, description = "The current password was wrong too often, or too many addresses were asked for")
))]
async fn request_email_change(
    rooms: Shared<Rooms>,
    caller: Caller,
    body: Body<NewEmail>,
) -> Result<Accepted<Message>, Problem> {
    let NewEmail { new_email, current_password } = body.0;
    let verified = caller.prove_password(&rooms, &current_password).await?;
    rooms.accounts.ask(RequestEmailChange { verified, new_email, context: caller.client }).await?;
    Ok(Accepted(Message::new("A code is on its way to the new address. Until it is confirmed, the old one holds.")))
}

/// A code from a mail.
#[derive(ToSchema)]
#[salvo(schema(name = "EmailCode", example = json!({ "otp": "123456" })))]
struct Code {
    #[salvo(schema(value_type = String, max_length = 64))]
    otp: SecretString,
}

impl FromFields for Code {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let otp = fields.required("otp", secret(0..=64));
        fields.finish(|valid| Self { otp: otp.get(valid) })
    }
}

/// Moves the account to the address that the code was mailed to; the user's other log-ins end.
#[endpoint(responses(
    (status_code = 400, description = "The code is wrong, expired or used up"),
    (status_code = 409, description = "The code is right, and another account has the address"),
    (status_code = 429, description = "Too many wrong codes")
))]
async fn confirm_email_change(
    rooms: Shared<Rooms>,
    caller: Caller,
    body: Body<Code>,
) -> Result<Json<Welcomed>, Problem> {
    let Caller { user, login: keep, client: context } = caller;
    let user = rooms.accounts.ask(ConfirmEmailChange { user: user.id, code: body.0.otp, keep, context }).await?;
    Ok(Json(Welcomed { message: "E-mail address changed successfully.", user: UserView::from(&user) }))
}
