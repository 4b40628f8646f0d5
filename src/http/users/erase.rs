//! `POST /users/me/erase`: erasing the caller's account.

use faceofmind_domain::accounts::DeleteUser;
use salvo::{Router, Writer, oapi::endpoint, writing::Json};

use crate::http::{
    body::Body,
    caller::Caller,
    fields::request,
    problem::Problem,
    responses::MessageBody,
    state::{AppState, State},
    validators::Password,
};

pub(super) fn router() -> Router {
    Router::with_path("me/erase").post(erase)
}

request! {
    /// The password of the account to erase.
    #[schema("EraseRequest", example = { "current_password": "password123" })]
    struct EraseRequest {
        current_password: Password,
    }
}

/// Erases the caller's account and all its data for good. Its tokens stop working at once.
#[endpoint(operation_id = "users_erase", responses(
    (status_code = 400, description = "The current password is wrong"),
    (status_code = 409, description = "The last active admin, or another request changed the user at the same time"),
    (status_code = 429, description = "The current password was wrong too often")
))]
async fn erase(state: State<AppState>, caller: Caller, body: Body<EraseRequest>) -> Result<Json<MessageBody>, Problem> {
    let verified = caller.verify_password(&state, body.0.current_password).await?;
    let expected_revision = Some(verified.revision);
    state.modules.accounts.ask(DeleteUser { user: verified.id, expected_revision, events: caller.origin() }).await?;
    Ok(MessageBody::json("Your account and all that was yours have been erased."))
}
