//! `/sessions/{id}/feedback`: what a person says of a session that has ended.

use faceofmind_actors::session_tracker::{Feedback, RateSession, Rating, SessionId};
use salvo::{
    Router, Writer,
    oapi::{ToSchema, endpoint},
};
use serde::Serialize;

use super::{context, respond};
use crate::{
    app::Rooms,
    http::{
        answers::First,
        body::Body,
        caller::Caller,
        fields::{Fields, FromFields, Read},
        idempotency::Idempotency,
        kinds::{integer, text},
        path::PathId,
        problem::Problem,
        shared::Shared,
    },
};

pub(super) fn router() -> Router {
    Router::with_path("{id}/feedback").post(rate)
}

/// A rating, and what there is to say.
#[derive(ToSchema)]
#[salvo(schema(example = json!({ "comment": "It helped me to sleep.", "rating": 4 })))]
struct NewFeedback {
    /// May be empty.
    #[salvo(schema(max_length = 2000))]
    comment: String,
    #[salvo(schema(minimum = 1, maximum = 5))]
    rating: i32,
}

impl FromFields for NewFeedback {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let comment = fields.required("comment", text(0..=2000));
        let rating = fields.required("rating", integer(1..=5));
        fields.finish(|valid| Self {
            comment: comment.get(valid),
            rating: i32::try_from(rating.get(valid)).unwrap_or_default(),
        })
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
}

impl From<Feedback> for FeedbackView {
    fn from(Feedback { id, session_id, comment, rating }: Feedback) -> Self {
        Self { id: id.0, session_id: session_id.0, comment, rating }
    }
}

/// Rates a session that has ended, once.
#[endpoint(responses(
    (status_code = 400, description = "The session has not ended yet, or has its feedback; `type` tells which"),
    (status_code = 404, description = "There is no such session of yours")
))]
async fn rate(
    rooms: Shared<Rooms>,
    caller: Caller,
    id: PathId,
    key: Idempotency,
    body: Body<NewFeedback>,
) -> Result<First<FeedbackView>, Problem> {
    let NewFeedback { comment, rating } = body.0;
    let (context, session) = (context(&caller, key), SessionId(id.0));
    let message =
        RateSession { context, session, rating: Rating { comment, rating }, respond: respond::<_, FeedbackView, 201> };
    Ok(First::Again(rooms.sessions.ask(message).await?))
}
