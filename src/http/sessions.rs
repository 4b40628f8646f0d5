//! `/sessions`: a person's own.

use faceofmind_actors::session_tracker::{Call, Listed, Session, SessionId};
use faceofmind_kit::Timestamp;
use salvo::{
    Router, Writer,
    oapi::{RouterExt, ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use super::{
    answers::{First, Message},
    body::Body,
    caller::Caller,
    fields::{Fields, FromFields, Read},
    idempotency::Idempotency,
    page::Part,
    path::PathId,
    problem::Problem,
    query::Query,
    shared::Shared,
};
use crate::app::Rooms;

mod charts;
mod detections;
mod feedback;
mod history;

/// The calls under `/sessions`.
pub fn router() -> Router {
    let one = Router::with_path("{id}")
        .get(show)
        .delete(delete)
        .push(Router::with_path("end").patch(end))
        .push(Router::with_path("history").get(history::history));
    Router::with_path("sessions")
        .oapi_tag("sessions")
        .get(list)
        .post(start)
        .push(Router::with_path("count").get(count))
        .append(&mut charts::routers().into())
        .push(one)
        .push(detections::router())
        .push(feedback::router())
}

/// A call that may come again.
fn call(caller: &Caller, key: Idempotency) -> Call {
    Call { user: caller.user.id, origin: caller.origin(), key: key.of(caller.user.id) }
}

/// A session.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Session", example = json!({
    "id": 12, "user_id": 7, "start_time": "2026-11-23T08:00:00+00:00", "end_time": null
})))]
pub(super) struct SessionView {
    id: i64,
    user_id: i64,
    #[salvo(schema(value_type = String, format = DateTime))]
    start_time: Timestamp,
    /// Null while it is open.
    #[salvo(schema(value_type = Option<String>, format = DateTime))]
    end_time: Option<Timestamp>,
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        let Session { id, user_id, start_time, end_time } = session;
        Self { id: id.0, user_id: user_id.0, start_time, end_time }
    }
}

/// Nothing needs to be said: an empty object.
#[derive(ToSchema)]
#[salvo(schema(example = json!({})))]
struct NewSession {}

impl FromFields for NewSession {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        fields.finish(|_| Self {})
    }
}

/// Starts a session.
#[endpoint]
async fn start(
    rooms: Shared<Rooms>,
    caller: Caller,
    key: Idempotency,
    _body: Body<NewSession>,
) -> Result<First<SessionView>, Problem> {
    Ok(rooms.sessions.start(call(&caller, key)).await?.into())
}

/// A session with the gist of what was recorded in it.
#[derive(Serialize, ToSchema)]
#[salvo(schema(example = json!({
    "id": 12, "user_id": 7, "start_time": "2026-11-23T08:00:00+00:00", "end_time": "2026-11-23T08:10:00+00:00",
    "dominant_emotion": "happy", "suggestion": "It is good to see you smile."
})))]
struct SessionGist {
    #[serde(flatten)]
    #[salvo(schema(inline))]
    session: SessionView,
    /// The emotion detected most often, in lower case.
    dominant_emotion: Option<String>,
    /// The first sentence of the first suggestion.
    suggestion: Option<String>,
}

impl From<Listed> for SessionGist {
    fn from(listed: Listed) -> Self {
        let Listed { id, user_id, start_time, end_time, dominant_emotion, suggestion } = listed;
        Self { session: Session { id, user_id, start_time, end_time }.into(), dominant_emotion, suggestion }
    }
}

/// The user's sessions, newest first; 5 unless `limit` says otherwise.
#[endpoint]
async fn list(rooms: Shared<Rooms>, caller: Caller, part: Query<Part>) -> Result<Json<Vec<SessionGist>>, Problem> {
    let listed = rooms.sessions.list(caller.user.id, part.0.skip, part.0.limit.unwrap_or(5)).await?;
    Ok(Json(listed.into_iter().map(SessionGist::from).collect()))
}

/// How many there are.
#[derive(Serialize, ToSchema)]
#[salvo(schema(example = json!({ "count": 3 })))]
struct Count {
    count: u64,
}

/// How many sessions the user has.
#[endpoint]
async fn count(rooms: Shared<Rooms>, caller: Caller) -> Result<Json<Count>, Problem> {
    Ok(Json(Count { count: rooms.sessions.count(caller.user.id).await? }))
}

/// One session.
#[endpoint(responses((status_code = 404, description = "There is no such session of yours")))]
async fn show(rooms: Shared<Rooms>, caller: Caller, id: PathId) -> Result<Json<SessionView>, Problem> {
    Ok(Json(rooms.sessions.get(caller.user.id, SessionId(id.0)).await?.into()))
}

/// Ends a session; one that has ended stays as it is.
#[endpoint(responses((status_code = 404, description = "There is no such session of yours")))]
async fn end(rooms: Shared<Rooms>, caller: Caller, id: PathId) -> Result<Json<SessionView>, Problem> {
    Ok(Json(rooms.sessions.end(caller.user.id, SessionId(id.0), caller.origin()).await?.into()))
}

/// Deletes a session with all that was recorded in it.
#[endpoint(responses((status_code = 404, description = "There is no such session of yours")))]
async fn delete(rooms: Shared<Rooms>, caller: Caller, id: PathId) -> Result<Json<Message>, Problem> {
    rooms.sessions.delete(caller.user.id, SessionId(id.0), caller.origin()).await?;
    Ok(Message::json("Session deleted successfully"))
}
