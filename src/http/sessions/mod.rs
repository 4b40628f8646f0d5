//! `/sessions`: the caller's sessions.

use faceofmind_base::Timestamp;
use faceofmind_domain::sessions::{
    self, CommandContext, CountSessions, DeleteSession, EndSession, GetSession, ListSessions, Session, StartSession,
};
use faceofmind_model::SessionId;
use salvo::{
    Router, Writer,
    oapi::{RouterExt, ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use crate::http::{
    body::OptionalBody,
    caller::Caller,
    cursor::Cursor,
    fields::request,
    idempotency::Idempotency,
    page::{Page, PageQuery},
    path::PathId,
    problem::Problem,
    query::Query,
    responses::{IdempotentResponse, MessageBody, respond, stored},
    state::{AppState, State},
    validators::{Clamped, Offset},
};

mod charts;
mod detections;
mod feedback;
mod history;

/// The routes under `/sessions`.
pub fn router() -> Router {
    let one = Router::with_path("{id}")
        .get(show)
        .delete(delete)
        .push(Router::with_path("end").patch(end))
        .push(Router::with_path("history").get(history::show_history));
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
    CommandContext { user: caller.user.id, event: caller.origin(), key: key.into_key(caller.user.id) }
}

/// A session.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Session", example = json!({
    "id": 12, "user_id": 7, "start_time": "2026-11-23T08:00:00+00:00", "end_time": null
})))]
struct SessionView {
    id: i64,
    user_id: i64,
    #[salvo(schema(value_type = String, format = DateTime))]
    start_time: Timestamp,
    /// Null while the session is open.
    #[salvo(schema(value_type = Option<String>, format = DateTime))]
    end_time: Option<Timestamp>,
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        let Session { id, user_id, start_time, end_time } = session;
        Self { id: id.0, user_id: user_id.0, start_time, end_time }
    }
}

request! {
    /// An empty object, or no body.
    #[schema("StartSessionRequest", example = {})]
    struct StartSessionRequest {}
}

/// Starts a session.
#[endpoint(operation_id = "sessions_start")]
async fn start(
    state: State<AppState>,
    caller: Caller,
    key: Idempotency,
    _body: OptionalBody<StartSessionRequest>,
) -> Result<IdempotentResponse<SessionView>, Problem> {
    let message = StartSession { context: context(&caller, key), respond: respond::<_, SessionView, 201> };
    Ok(state.modules.sessions.ask(message).await?.into())
}

/// A session with a summary of its detections.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "SessionSummary", example = json!({
    "id": 12, "user_id": 7, "start_time": "2026-11-23T08:00:00+00:00", "end_time": "2026-11-23T08:10:00+00:00",
    "dominant_emotion": "happy", "suggestion": "It is good to see you smile."
})))]
struct SessionSummary {
    #[serde(flatten)]
    #[salvo(schema(inline))]
    session: SessionView,
    /// The emotion detected most often, in lower case.
    dominant_emotion: Option<String>,
    /// The first sentence of the first suggestion.
    suggestion: Option<String>,
}

impl From<sessions::SessionSummary> for SessionSummary {
    fn from(summary: sessions::SessionSummary) -> Self {
        let sessions::SessionSummary { id, user_id, start_time, end_time, dominant_emotion, suggestion } = summary;
        Self { session: Session { id, user_id, start_time, end_time }.into(), dominant_emotion, suggestion }
    }
}

request! {
    /// Which of the sessions to return, newest first.
    struct SessionsQuery {
        /// Where the page begins: `after` in the `Link` of the previous page.
        after: Option<Cursor>,
        /// How many sessions to skip from there.
        skip: Offset = 0,
        /// The size of the page, 1 to 100; 5 by default. Larger means 100.
        limit: Clamped<1, 100> = 5,
    }
}

/// Lists the user's sessions, newest first.
#[endpoint(operation_id = "sessions_list")]
async fn list(
    state: State<AppState>,
    caller: Caller,
    query: Query<SessionsQuery>,
) -> Result<Page<SessionSummary>, Problem> {
    let SessionsQuery { after, skip, limit } = query.0;
    let request = PageQuery { after, skip, limit }.request(caller.user.id, SessionId);
    let page = state.modules.sessions.ask(ListSessions(request)).await?;
    Ok(Page::new(limit, page.results.into_iter().map(SessionSummary::from), page.next.map(|id| id.0)))
}

/// The number of sessions.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "SessionCount", example = json!({ "count": 3 })))]
struct SessionCount {
    count: u64,
}

/// Counts the user's sessions.
#[endpoint(operation_id = "sessions_count")]
async fn count(state: State<AppState>, caller: Caller) -> Result<Json<SessionCount>, Problem> {
    Ok(Json(SessionCount { count: state.modules.sessions.ask(CountSessions { user: caller.user.id }).await? }))
}

/// Returns a session.
#[endpoint(operation_id = "sessions_show", responses(
    (status_code = 404, description = "The user has no such session")
))]
async fn show(state: State<AppState>, caller: Caller, id: PathId) -> Result<Json<SessionView>, Problem> {
    let message = GetSession { user: caller.user.id, session: SessionId(id.0) };
    Ok(Json(state.modules.sessions.ask(message).await?.into()))
}

/// Ends a session. A session that has ended does not change.
#[endpoint(operation_id = "sessions_end", responses((status_code = 404, description = "The user has no such session")))]
async fn end(
    state: State<AppState>,
    caller: Caller,
    id: PathId,
) -> Result<IdempotentResponse<SessionView, 200>, Problem> {
    let (context, session) = (context(&caller, Idempotency(None)), SessionId(id.0));
    let message = EndSession { context, session, respond: respond::<_, SessionView, 200> };
    Ok(state.modules.sessions.ask(message).await?.into())
}

/// Deletes a session with all its data.
#[endpoint(operation_id = "sessions_delete", responses(
    (status_code = 404, description = "The user has no such session")
))]
async fn delete(
    state: State<AppState>,
    caller: Caller,
    id: PathId,
) -> Result<IdempotentResponse<MessageBody, 200>, Problem> {
    let (context, session) = (context(&caller, Idempotency(None)), SessionId(id.0));
    let respond = |_| stored(200, &MessageBody { message: "Session deleted successfully" });
    Ok(state.modules.sessions.ask(DeleteSession { context, session, respond }).await?.into())
}
