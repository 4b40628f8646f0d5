//! `/reminders`: the caller's reminders.

use faceofmind_base::{CivilDate, Timestamp};
use faceofmind_domain::reminders::{
    CreateReminder, DeleteReminder, GetReminder, ListReminders, NewReminder, Reminder, ReminderChange, UpdateReminder,
};
use faceofmind_model::ReminderId;
use salvo::{
    Router, Writer,
    oapi::{RouterExt, ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use super::{
    body::Body,
    caller::Caller,
    fields::request,
    helplines::{RequestLocale, helplines},
    idempotency::Idempotency,
    page::{Page, PageQuery},
    path::PathId,
    problem::Problem,
    query::Query,
    responses::{IdempotentResponse, MessageBody, respond},
    state::{AppState, State},
    validators::{Boolean, Date, NonBlank, Text},
};

/// The routes under `/reminders`.
pub fn router() -> Router {
    let one = Router::with_path("{id}").get(show).put(update).delete(delete);
    Router::with_path("reminders").oapi_tag("reminders").get(list).post(create).push(one)
}

/// A reminder.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Reminder", example = json!({
    "id": 5, "user_id": 7, "title": "Breathe", "description": "Ten times, slowly", "reminder_time": "2026-11-25",
    "is_active": true, "created_at": "2026-11-23T08:00:00+00:00"
})))]
struct ReminderView {
    id: i64,
    user_id: i64,
    title: String,
    description: String,
    /// The date on which the reminder is due, at 08:00 in the user's time zone.
    #[salvo(schema(value_type = String, format = Date))]
    reminder_time: CivilDate,
    /// Whether the reminder is sent when it is due.
    is_active: bool,
    #[salvo(schema(value_type = String, format = DateTime))]
    created_at: Timestamp,
    /// Where to find help. Present only in the response to a request whose text mentions suicide or self-harm.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[salvo(schema(required = false))]
    helplines: Vec<String>,
}

impl From<Reminder> for ReminderView {
    fn from(reminder: Reminder) -> Self {
        let Reminder { id, user_id, title, description, reminder_time, is_active, created_at } = reminder;
        Self {
            id: id.0,
            user_id: user_id.0,
            title,
            description,
            reminder_time,
            is_active,
            created_at,
            helplines: Vec::new(),
        }
    }
}

request! {
    /// A new reminder.
    #[schema("CreateReminderRequest", example = {
        "title": "Breathe", "description": "Ten times, slowly", "reminder_time": "2026-11-25", "is_active": true
    })]
    struct CreateReminderRequest {
        title: NonBlank<255>,
        /// Empty by default.
        description: Text<0, 2000> = String::new(),
        /// Any date. A past date in the user's time zone never becomes due. Today is due at once if it is after 08:00.
        reminder_time: Date,
        /// True by default.
        is_active: Boolean = true,
    }
}

/// Creates a reminder.
///
/// The reminder is due at 08:00 of its date in the user's time zone of that day, or else in the service's. It is sent
/// once, as an event and a mail, after an outage up to 24 hours late. It is not sent while the account is not active. A
/// user may have 1,000 reminders.
#[endpoint(operation_id = "reminders_create", responses(
    (status_code = 409, description = "The user has 1,000 reminders and must delete some first")
))]
async fn create(
    state: State<AppState>,
    caller: Caller,
    key: Idempotency,
    body: Body<CreateReminderRequest>,
    locale: RequestLocale,
) -> Result<IdempotentResponse<ReminderView>, Problem> {
    let CreateReminderRequest { title, description, reminder_time, is_active } = body.0;
    let helplines = helplines(locale, &caller, [&title, &description]).await?;
    let new = NewReminder { title, description, reminder_time, is_active };
    let (user, respond) = (caller.user.id, respond::<_, ReminderView, 201>);
    let created = state.modules.reminders.ask(CreateReminder { user, new, key: key.into_key(user), respond }).await?;
    Ok(IdempotentResponse::from(created).with_helplines(&helplines))
}

/// Lists the user's reminders, newest first.
#[endpoint(operation_id = "reminders_list")]
async fn list(state: State<AppState>, caller: Caller, query: Query<PageQuery>) -> Result<Page<ReminderView>, Problem> {
    let limit = query.0.limit;
    let page = state.modules.reminders.ask(ListReminders(query.0.request(caller.user.id, ReminderId))).await?;
    Ok(Page::new(limit, page.results.into_iter().map(ReminderView::from), page.next.map(|id| id.0)))
}

/// Returns a reminder.
#[endpoint(operation_id = "reminders_show", responses(
    (status_code = 404, description = "The user has no such reminder")
))]
async fn show(state: State<AppState>, caller: Caller, id: PathId) -> Result<Json<ReminderView>, Problem> {
    let message = GetReminder { user: caller.user.id, id: ReminderId(id.0) };
    Ok(Json(state.modules.reminders.ask(message).await?.into()))
}

request! {
    /// The fields to change.
    #[schema("UpdateReminderRequest", example = { "reminder_time": "2026-11-26" })]
    struct UpdateReminderRequest {
        title: Option<NonBlank<255>>,
        /// May be empty.
        description: Option<Text<0, 2000>>,
        /// Any date. A past date in the user's time zone never becomes due. Today is due at once if it is after 08:00.
        reminder_time: Option<Date>,
        is_active: Option<Boolean>,
    }
}

/// Changes a reminder.
///
/// A reminder with another date, or activated again, becomes due again, also if it was sent before. A new title or
/// description does not have this effect.
#[endpoint(operation_id = "reminders_update", responses(
    (status_code = 404, description = "The user has no such reminder")
))]
async fn update(
    state: State<AppState>,
    caller: Caller,
    id: PathId,
    body: Body<UpdateReminderRequest>,
    locale: RequestLocale,
) -> Result<Json<ReminderView>, Problem> {
    let UpdateReminderRequest { title, description, reminder_time, is_active } = body.0;
    let helplines = helplines(locale, &caller, title.iter().chain(&description)).await?;
    let change = ReminderChange { title, description, reminder_time, is_active };
    let message = UpdateReminder { user: caller.user.id, id: ReminderId(id.0), change };
    Ok(Json(ReminderView { helplines, ..state.modules.reminders.ask(message).await?.into() }))
}

/// Deletes a reminder.
#[endpoint(operation_id = "reminders_delete", responses(
    (status_code = 404, description = "The user has no such reminder")
))]
async fn delete(state: State<AppState>, caller: Caller, id: PathId) -> Result<Json<MessageBody>, Problem> {
    state.modules.reminders.ask(DeleteReminder { user: caller.user.id, id: ReminderId(id.0) }).await?;
    Ok(MessageBody::json("Reminder deleted successfully"))
}
