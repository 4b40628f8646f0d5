//! `/sessions/{id}/feedback`: the user's rating of a session that has ended.

use faceofmind_domain::sessions::{Feedback, RateSession, Rating};
use faceofmind_model::SessionId;
use salvo::{
    Router, Writer,
    oapi::{ToSchema, endpoint},
};
use serde::Serialize;

use super::context;
use crate::http::{
    body::Body,
    caller::Caller,
    fields::request,
    helplines::{RequestLocale, helplines},
    idempotency::Idempotency,
    path::PathId,
    problem::Problem,
    responses::{IdempotentResponse, respond},
    state::{AppState, State},
    validators::{Integer, Text},
};

pub(super) fn router() -> Router {
    Router::with_path("{id}/feedback").post(rate)
}

request! {
    /// A rating and a comment.
    #[schema("FeedbackRequest", example = { "comment": "It helped me to sleep.", "rating": 4 })]
    struct FeedbackRequest {
        /// May be empty.
        comment: Text<0, 20_000>,
        rating: Integer<1, 5>,
    }
}

/// The feedback on a session.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Feedback", example = json!({
    "id": 3, "session_id": 12, "comment": "It helped me to sleep.", "rating": 4
})))]
struct FeedbackView {
    id: i64,
    session_id: i64,
    comment: String,
    rating: i32,
    /// Where to find help. Present only in the response to a request whose text mentions suicide or self-harm.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[salvo(schema(required = false))]
    helplines: Vec<String>,
}

impl From<Feedback> for FeedbackView {
    fn from(Feedback { id, session_id, comment, rating }: Feedback) -> Self {
        Self { id: id.0, session_id: session_id.0, comment, rating, helplines: Vec::new() }
    }
}

/// Rates a session that has ended. A session can be rated once.
#[endpoint(operation_id = "sessions_rate", responses(
    (status_code = 400, description = "The session has not ended, or is rated already; `type` says which"),
    (status_code = 404, description = "The user has no such session")
))]
async fn rate(
    state: State<AppState>,
    caller: Caller,
    id: PathId,
    key: Idempotency,
    body: Body<FeedbackRequest>,
    locale: RequestLocale,
) -> Result<IdempotentResponse<FeedbackView>, Problem> {
    let FeedbackRequest { comment, rating } = body.0;
    let helplines = helplines(locale, &caller, [&comment]).await?;
    let message = RateSession {
        session: SessionId(id.0),
        rating: Rating { comment, rating },
        context: context(&caller, key),
        respond: respond::<_, FeedbackView, 201>,
    };
    Ok(IdempotentResponse::from(state.modules.sessions.ask(message).await?).with_helplines(&helplines))
}
