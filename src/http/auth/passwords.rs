//! `/auth/request-password-reset`, `/auth/reset-password` and `/auth/change-password`.

use faceofmind_domain::accounts::{ChangePassword, RequestPasswordReset, ResetPassword};
use salvo::{Router, Writer, oapi::endpoint, writing::Json};

use crate::http::{
    body::{Body, BodyWithPassword},
    caller::{Anonymous, Caller, Uncounted},
    fields::request,
    problem::Problem,
    responses::{Accepted, MessageBody},
    state::{AppState, State},
    validators::{EmailAddress, NewPassword, OtpCode, Password},
};

pub(super) fn router() -> Router {
    Router::new()
        .push(Router::with_path("request-password-reset").post(request_password_reset))
        .push(Router::with_path("reset-password").post(reset_password))
        .push(Router::with_path("change-password").post(change_password))
}

request! {
    /// The address of an account whose password was forgotten.
    #[schema("ForgotPasswordRequest", example = { "email": "ada@example.org" })]
    struct ForgotPasswordRequest {
        email: EmailAddress,
    }
}

/// Mails a code to the address if it has an account. The response is the same if it has none.
#[endpoint(operation_id = "auth_request_password_reset")]
async fn request_password_reset(
    state: State<AppState>,
    client: Anonymous,
    body: Body<ForgotPasswordRequest>,
) -> Result<Accepted<MessageBody>, Problem> {
    state.modules.accounts.ask(RequestPasswordReset { email: body.0.email, context: client.context }).await?;
    Ok(MessageBody::accepted("If the address has an account, a code is on its way."))
}

request! {
    /// A code from a mail and the new password.
    #[schema(
        "ResetPasswordRequest",
        example = { "email": "ada@example.org", "otp": "123456", "new_password": "a long sentence" }
    )]
    struct ResetPasswordRequest {
        email: EmailAddress,
        otp: OtpCode,
        new_password: NewPassword,
    }
}

/// Sets a new password with the code that was mailed, and ends all logins of the user.
///
/// The code is checked before the password. A right code with a password that the policy rejects is a 422, and the code
/// stays valid.
#[endpoint(operation_id = "auth_reset_password", responses(
    (status_code = 400, description = "The code is wrong, expired or used")
))]
async fn reset_password(
    state: State<AppState>,
    client: Uncounted,
    body: BodyWithPassword<ResetPasswordRequest>,
) -> Result<Json<MessageBody>, Problem> {
    let ResetPasswordRequest { email, otp: code, new_password } = body.0;
    let context = client.count_unless_link(&state, &code).await?;
    state.modules.accounts.ask(ResetPassword { email, code, new_password, context }).await?;
    Ok(MessageBody::json("Password has been reset successfully."))
}

request! {
    /// The current password and the new one.
    #[schema(
        "ChangePasswordRequest",
        example = { "current_password": "password123", "new_password": "a long sentence" }
    )]
    struct ChangePasswordRequest {
        current_password: Password,
        new_password: NewPassword,
    }
}

/// Changes the password and ends the user's other logins.
#[endpoint(operation_id = "auth_change_password", responses(
    (status_code = 400, description = "The current password is wrong"),
    (status_code = 409, description = "Another request changed the user at the same time"),
    (status_code = 429, description = "The current password was wrong too often")
))]
async fn change_password(
    state: State<AppState>,
    caller: Caller,
    body: Body<ChangePasswordRequest>,
) -> Result<Json<MessageBody>, Problem> {
    let ChangePasswordRequest { current_password, new_password } = body.0;
    let verified = caller.verify_password(&state, current_password).await?;
    let (keep, context) = (caller.login, caller.context());
    state.modules.accounts.ask(ChangePassword { verified, new_password, keep, context }).await?;
    Ok(MessageBody::json("Password changed successfully."))
}
