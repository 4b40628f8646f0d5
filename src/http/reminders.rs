//! `/reminders`: what a person wants to be reminded of.

use faceofmind_actors::reminders::{
    CreateReminder, DeleteReminder, GetReminder, ListReminders, NewReminder, Reminder, ReminderChange, ReminderId,
    UpdateReminder,
};
use faceofmind_kit::{CivilDate, Timestamp};
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
    kinds::{boolean, date, text, words},
    page::Part,
    path::PathId,
    problem::Problem,
    query::Query,
    sessions::respond,
    shared::Shared,
};
use crate::app::Rooms;

/// The calls under `/reminders`.
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
    /// The day on which it is due, at 08:00 in the user's time zone.
    #[salvo(schema(value_type = String, format = Date))]
    reminder_time: CivilDate,
    /// Whether it is to be told.
    is_active: bool,
    #[salvo(schema(value_type = String, format = DateTime))]
    created_at: Timestamp,
}

impl From<Reminder> for ReminderView {
    fn from(reminder: Reminder) -> Self {
        let Reminder { id, user_id, title, description, reminder_time, is_active, created_at } = reminder;
        Self { id: id.0, user_id: user_id.0, title, description, reminder_time, is_active, created_at }
    }
}

/// What to be reminded of, and on which day.
#[derive(ToSchema)]
#[salvo(schema(name = "NewReminder", example = json!({
    "title": "Breathe", "description": "Ten times, slowly", "reminder_time": "2026-11-25", "is_active": true
})))]
struct Wanted {
    #[salvo(schema(min_length = 1, max_length = 200))]
    title: String,
    /// Empty unless told.
    #[salvo(schema(value_type = Option<String>, max_length = 2000))]
    description: String,
    /// Any date. One that is over in the user's time zone never becomes due; for today it is due at once when 08:00 is past.
    #[salvo(schema(value_type = String, format = Date))]
    reminder_time: CivilDate,
    /// True unless told.
    #[salvo(schema(value_type = Option<bool>))]
    is_active: bool,
}

impl FromFields for Wanted {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let title = fields.required("title", words(200));
        let description = fields.or("description", String::new(), text(0..=2000));
        let reminder_time = fields.required("reminder_time", date());
        let is_active = fields.or("is_active", true, boolean());
        fields.finish(|valid| Self {
            title: title.get(valid),
            description: description.get(valid),
            reminder_time: CivilDate(reminder_time.get(valid)),
            is_active: is_active.get(valid),
        })
    }
}

/// Makes a reminder.
///
/// It is due at 08:00 of its date in the time zone that the user has set then, else in the service's. An event and a mail tell so, once;
/// late, as after an outage, by 24 hours at most. To an account that is not active at that time nothing is told. A user may have 1,000
/// reminders.
#[endpoint(responses((status_code = 409, description = "You have 1,000 reminders: delete some first")))]
async fn create(
    rooms: Shared<Rooms>,
    caller: Caller,
    key: Idempotency,
    body: Body<Wanted>,
) -> Result<First<ReminderView>, Problem> {
    let Wanted { title, description, reminder_time, is_active } = body.0;
    let new = NewReminder { title, description, reminder_time, is_active };
    let (user, respond) = (caller.user.id, respond::<_, ReminderView, 201>);
    Ok(First::Again(rooms.reminders.ask(CreateReminder { user, new, key: key.of(user), respond }).await?))
}

/// The user's reminders, newest first; 100 unless `limit` says otherwise.
#[endpoint]
async fn list(rooms: Shared<Rooms>, caller: Caller, part: Query<Part>) -> Result<Json<Vec<ReminderView>>, Problem> {
    let (user, skip, limit) = (caller.user.id, part.0.skip, part.0.limit.unwrap_or(100));
    let listed = rooms.reminders.ask(ListReminders { user, skip, limit }).await?;
    Ok(Json(listed.into_iter().map(ReminderView::from).collect()))
}

/// One reminder.
#[endpoint(responses((status_code = 404, description = "There is no such reminder of yours")))]
async fn show(rooms: Shared<Rooms>, caller: Caller, id: PathId) -> Result<Json<ReminderView>, Problem> {
    let message = GetReminder { user: caller.user.id, id: ReminderId(id.0) };
    Ok(Json(rooms.reminders.ask(message).await?.into()))
}

/// What to change; what is left out stays.
#[derive(ToSchema)]
#[salvo(schema(name = "ReminderChange", example = json!({ "reminder_time": "2026-11-26" })))]
struct Changed {
    #[salvo(schema(min_length = 1, max_length = 200))]
    title: Option<String>,
    /// May be empty.
    #[salvo(schema(max_length = 2000))]
    description: Option<String>,
    /// Any date. One that is over in the user's time zone never becomes due; for today it is due at once when 08:00 is past.
    #[salvo(schema(value_type = Option<String>, format = Date))]
    reminder_time: Option<CivilDate>,
    is_active: Option<bool>,
}

impl FromFields for Changed {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let title = fields.optional("title", words(200));
        let description = fields.optional("description", text(0..=2000));
        let reminder_time = fields.optional("reminder_time", date());
        let is_active = fields.optional("is_active", boolean());
        fields.finish(|valid| Self {
            title: title.get(valid),
            description: description.get(valid),
            reminder_time: reminder_time.get(valid).map(CivilDate),
            is_active: is_active.get(valid),
        })
    }
}

/// Changes a reminder.
///
/// With another date, or switched on again, it becomes due again, also if it was before. New words do not have that effect.
#[endpoint(responses((status_code = 404, description = "There is no such reminder of yours")))]
async fn update(
    rooms: Shared<Rooms>,
    caller: Caller,
    id: PathId,
    body: Body<Changed>,
) -> Result<Json<ReminderView>, Problem> {
    let Changed { title, description, reminder_time, is_active } = body.0;
    let change = ReminderChange { title, description, reminder_time, is_active };
    let message = UpdateReminder { user: caller.user.id, id: ReminderId(id.0), change };
    Ok(Json(rooms.reminders.ask(message).await?.into()))
}

/// Deletes a reminder.
#[endpoint(responses((status_code = 404, description = "There is no such reminder of yours")))]
async fn delete(rooms: Shared<Rooms>, caller: Caller, id: PathId) -> Result<Json<Message>, Problem> {
    rooms.reminders.ask(DeleteReminder { user: caller.user.id, id: ReminderId(id.0) }).await?;
    Ok(Message::json("Reminder deleted successfully"))
}
