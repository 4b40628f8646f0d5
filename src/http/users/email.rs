//! `/users/me/email`: changing the caller's e-mail address.

use faceofmind_domain::accounts::{ConfirmEmailChange, RequestEmailChange};
use salvo::{Router, Writer, oapi::endpoint, writing::Json};

use super::UserMessage;
use crate::http::{
    body::Body,
    caller::Caller,
    fields::request,
    problem::Problem,
    responses::{Accepted, MessageBody},
    state::{AppState, State},
    validators::{EmailAddress, OtpCode, Password},
};

pub(super) fn router() -> Router {
    Router::with_path("me/email")
        .post(request_email_change)
        .push(Router::with_path("confirm").post(confirm_email_change))
}

request! {
    /// The new address and the current password.
    #[schema(
        "ChangeEmailRequest",
        example = { "new_email": "ada@example.com", "current_password": "password123" }
    )]
    struct ChangeEmailRequest {
        new_email: EmailAddress,
        current_password: Password,
    }
}

/// Requests another e-mail address for the account. A code is mailed to the new address and a notice to the current
/// one, which stays valid until the code is confirmed.
///
/// The response is the same whether the new address has an account or not. Another request replaces the first.
#[endpoint(operation_id = "users_request_email_change", responses(
    (status_code = 400, description = "The current password is wrong"),
    (status_code = 409, description = "Another request changed the user at the same time"),
    (status_code = 429, description = "The current password was wrong too often, or too many addresses were requested")
))]
async fn request_email_change(
    state: State<AppState>,
    caller: Caller,
    body: Body<ChangeEmailRequest>,
) -> Result<Accepted<MessageBody>, Problem> {
    let ChangeEmailRequest { new_email, current_password } = body.0;
    let verified = caller.verify_password(&state, current_password).await?;
    state.modules.accounts.ask(RequestEmailChange { verified, new_email, context: caller.context() }).await?;
    Ok(MessageBody::accepted("A code is on its way to the new address. Until it is confirmed, the old one holds."))
}

request! {
    /// A code from a mail.
    #[schema("ConfirmEmailRequest", example = { "otp": "123456" })]
    struct ConfirmEmailRequest {
        otp: OtpCode,
    }
}

/// Changes the e-mail address to the one that the code was mailed to, and ends the user's other logins.
#[endpoint(operation_id = "users_confirm_email_change", responses(
    (status_code = 400, description = "The code is wrong, expired or used"),
    (status_code = 409, description = "The code is right, and another account has the address"),
    (status_code = 429, description = "Too many wrong codes")
))]
async fn confirm_email_change(
    state: State<AppState>,
    caller: Caller,
    body: Body<ConfirmEmailRequest>,
) -> Result<Json<UserMessage>, Problem> {
    let (user, keep, context) = (caller.user.id, caller.login, caller.context());
    let message = ConfirmEmailChange { user, code: body.0.otp, keep, context };
    let user = state.modules.accounts.ask(message).await?;
    Ok(UserMessage::json("E-mail address changed successfully.", &user))
}
