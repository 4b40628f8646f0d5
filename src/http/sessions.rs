//! `/sessions`: a person's own.

use faceofmind_actors::{
    idempotency::Answer as StoredResponse,
    session_tracker::{
        CommandContext, CountSessions, DeleteSession, EndSession, GetSession, ListSessions, Session, SessionId,
        SessionSummary, StartSession,
    },
};
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

fn context(caller: &Caller, key: Idempotency) -> CommandContext {
    CommandContext { user: caller.user.id, event: caller.origin(), key: key.of(caller.user.id) }
}

/// Makes the response to a command, whose bytes are stored with an `Idempotency-Key`.
pub(super) fn respond<T, V: From<T> + Serialize, const STATUS: u16>(made: T) -> StoredResponse {
    stored(STATUS, &V::from(made))
}

fn stored(status: u16, body: &impl Serialize) -> StoredResponse {
    StoredResponse { status, body: serde_json::to_string(body).expect("views have string keys") }
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
    let message = StartSession { context: context(&caller, key), respond: respond::<_, SessionView, 201> };
    Ok(First::Again(rooms.sessions.ask(message).await?))
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

impl From<SessionSummary> for SessionGist {
    fn from(listed: SessionSummary) -> Self {
        let SessionSummary { id, user_id, start_time, end_time, dominant_emotion, suggestion } = listed;
        Self { session: Session { id, user_id, start_time, end_time }.into(), dominant_emotion, suggestion }
    }
}

/// The user's sessions, newest first; 5 unless `limit` says otherwise.
#[endpoint]
async fn list(rooms: Shared<Rooms>, caller: Caller, part: Query<Part>) -> Result<Json<Vec<SessionGist>>, Problem> {
    let (skip, limit) = (part.0.skip, part.0.limit.unwrap_or(5));
    let listed = rooms.sessions.ask(ListSessions { user: caller.user.id, skip, limit }).await?;
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
    Ok(Json(Count { count: rooms.sessions.ask(CountSessions { user: caller.user.id }).await? }))
}

/// One session.
#[endpoint(responses((status_code = 404, description = "There is no such session of yours")))]
async fn show(rooms: Shared<Rooms>, caller: Caller, id: PathId) -> Result<Json<SessionView>, Problem> {
    let message = GetSession { user: caller.user.id, session: SessionId(id.0) };
    Ok(Json(rooms.sessions.ask(message).await?.into()))
}

/// Ends a session; one that has ended stays as it is.
#[endpoint(responses((status_code = 404, description = "There is no such session of yours")))]
async fn end(rooms: Shared<Rooms>, caller: Caller, id: PathId) -> Result<First<SessionView, 200>, Problem> {
    let (context, session) = (context(&caller, Idempotency(None)), SessionId(id.0));
    let message = EndSession { context, session, respond: respond::<_, SessionView, 200> };
    Ok(First::Again(rooms.sessions.ask(message).await?))
}

/// Deletes a session with all that was recorded in it.
#[endpoint(responses((status_code = 404, description = "There is no such session of yours")))]
async fn delete(rooms: Shared<Rooms>, caller: Caller, id: PathId) -> Result<First<Message, 200>, Problem> {
    let (context, session) = (context(&caller, Idempotency(None)), SessionId(id.0));
    let respond = |_| stored(200, &Message::new("Session deleted successfully"));
    Ok(First::Again(rooms.sessions.ask(DeleteSession { context, session, respond }).await?))
}
