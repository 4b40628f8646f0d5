//! `POST /users/me/erase`: erasing one's own account.

use faceofmind_actors::user_registry::DeleteUser;
use salvo::{
    Router, Writer,
    oapi::{ToSchema, endpoint},
    writing::Json,
};
use secrecy::SecretString;

use crate::{
    app::Rooms,
    http::{
        answers::Message,
        auth::typed_password,
        body::Body,
        caller::Caller,
        fields::{Fields, FromFields, Read},
        problem::Problem,
        shared::Shared,
    },
};

pub(super) fn router() -> Router {
    Router::with_path("me/erase").post(erase)
}

/// The password of the account that is to go.
#[derive(ToSchema)]
#[salvo(schema(example = json!({ "current_password": "password123" })))]
struct Erase {
    #[salvo(schema(value_type = String, max_length = 1024))]
    current_password: SecretString,
}

impl FromFields for Erase {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let current_password = fields.required("current_password", typed_password());
        fields.finish(|valid| Self { current_password: current_password.get(valid) })
    }
}

/// Erases the user who asks, and all that is theirs, for good. Its tokens stop working at once.
#[endpoint(responses(
    (status_code = 400, description = "The current password is another"),
    (status_code = 409, description = "The last active admin"),
    (status_code = 429, description = "The current password was wrong too often")
))]
async fn erase(rooms: Shared<Rooms>, caller: Caller, body: Body<Erase>) -> Result<Json<Message>, Problem> {
    let proven = caller.prove_password(&rooms, &body.0.current_password).await?;
    let message = DeleteUser { user: proven.id, expected_revision: Some(proven.revision), events: caller.origin() };
    rooms.accounts.ask(message).await?;
    Ok(Message::json("Your account and all that was yours have been erased."))
}
