//! What was felt day by day, and in a window as a whole.

use std::collections::BTreeMap;

use faceofmind_actors::{
    emotions::Intensity,
    session_tracker::{DayStats, Diagnose, Diagnosis, GetDayStats, IntensityCounts, Window},
};
use salvo::{
    Router, Writer,
    oapi::{ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    app::Rooms,
    http::{
        body::Body,
        caller::Caller,
        fields::{Fields, FromFields, Read},
        kinds::{Given, Refusal},
        problem::Problem,
        query::Query,
        shared::Shared,
        time_zone::RequestZone,
    },
};

/// The calls that look at several sessions at once.
pub(super) fn routers() -> [Router; 3] {
    [
        Router::with_path("dominant_emotion_chart").get(dominant_emotion_chart),
        Router::with_path("intensity_chart").get(intensity_chart),
        Router::with_path("diagnosis").post(diagnosis),
    ]
}

/// Which days to look at.
#[derive(ToSchema)]
struct Days {
    /// `day` (today), `3days` (four days, today last), `week` (Monday to Sunday of this week; unless told) or `month` (31 days, today last).
    #[salvo(schema(value_type = Option<String>, example = json!("week")))]
    window: Option<Window>,
}

impl FromFields for Days {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let window = fields.or("window", Some(Window::Week), window);
        fields.finish(|valid| Self { window: window.get(valid) })
    }
}

/// Which days to sum up.
#[derive(ToSchema)]
#[salvo(schema(name = "DiagnosisRequest", example = json!({ "window": "week" })))]
struct Wanted {
    /// `day`, `3days`, `week` or `month`.
    #[salvo(schema(value_type = String))]
    window: Option<Window>,
}

impl FromFields for Wanted {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let window = fields.or("window", None, window);
        fields.finish(|valid| Self { window: window.get(valid) })
    }
}

/// A window that is none is no field's fault, whose refusal would be 422, but answered with 400.
fn window(given: Given) -> Result<Option<Window>, Refusal> {
    match given {
        Given::Text(name) | Given::Json(Value::String(name)) => Ok(name.parse().ok()),
        Given::Json(_) => Ok(None),
    }
}

fn invalid_window() -> Problem {
    Problem::bad_request("invalid-window", "Invalid window")
}

/// A day, and the emotion detected most often on it.
#[derive(Serialize, ToSchema)]
#[salvo(schema(example = json!({ "day": "2026-11-23", "dominant_emotion": "happy" })))]
struct DominantEmotion {
    #[salvo(schema(value_type = String, format = Date))]
    day: String,
    /// In lower case; of several the most recent. Null when nothing was detected.
    dominant_emotion: Option<String>,
}

/// A day, and how easy or hard to bear what was felt on it.
#[derive(Serialize, ToSchema)]
#[salvo(schema(example = json!({
    "day": "2026-11-23", "dominant_emotion": "happy", "intensity_tally": { "mild": 3, "moderate": 1, "severe": 0 }
})))]
struct DayIntensity {
    #[serde(flatten)]
    #[salvo(schema(inline))]
    dominant: DominantEmotion,
    intensity_tally: Intensities,
}

/// How many emotions of each intensity were detected.
#[derive(Serialize, ToSchema)]
#[salvo(schema(example = json!({ "mild": 3, "moderate": 1, "severe": 0 })))]
struct Intensities {
    mild: u64,
    moderate: u64,
    severe: u64,
}

/// What was detected in the window. A summary of what was recorded, and no medical word.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Diagnosis", example = json!({
    "diagnosis": "Of the 4 emotions recorded this week, happy was seen most often (3 of 4): 3 counted as mild, 1 as moderate and 0 as severe.",
    "emotion_tally": { "calm": 1, "happy": 3 },
    "intensity_breakdown": { "mild": 3, "moderate": 1, "severe": 0 },
    "emotion_intensity_map": { "calm": "moderate", "happy": "mild" },
    "window": "week"
})))]
struct DiagnosisView {
    /// The gist, in one sentence.
    diagnosis: String,
    /// How often each emotion was detected; in lower case.
    emotion_tally: BTreeMap<String, u64>,
    intensity_breakdown: Intensities,
    /// `mild`, `moderate` or `severe` for each of them.
    #[salvo(schema(value_type = BTreeMap<String, String>))]
    emotion_intensity_map: BTreeMap<String, Intensity>,
    /// As it was asked for.
    window: &'static str,
}

impl From<IntensityCounts> for Intensities {
    fn from(counts: IntensityCounts) -> Self {
        let IntensityCounts { mild, moderate, severe } = counts;
        Self { mild, moderate, severe }
    }
}

impl From<DayStats> for DominantEmotion {
    fn from(day: DayStats) -> Self {
        Self { day: day.date.to_string(), dominant_emotion: day.dominant_emotion }
    }
}

impl From<DayStats> for DayIntensity {
    fn from(day: DayStats) -> Self {
        Self { intensity_tally: day.intensities.into(), dominant: day.into() }
    }
}

impl From<Diagnosis> for DiagnosisView {
    fn from(made: Diagnosis) -> Self {
        let map = made.intensity_of_each().map(|(emotion, intensity)| (emotion.to_owned(), intensity)).collect();
        Self {
            diagnosis: made.sentence,
            emotion_tally: made.emotions,
            intensity_breakdown: made.intensities.into(),
            emotion_intensity_map: map,
            window: made.window.name(),
        }
    }
}

/// The emotion detected most often on each day of the window.
#[endpoint(responses((status_code = 400, description = "There is no such window")))]
async fn dominant_emotion_chart(
    rooms: Shared<Rooms>,
    caller: Caller,
    zone: RequestZone,
    days: Query<Days>,
) -> Result<Json<Vec<DominantEmotion>>, Problem> {
    chart(&rooms, &caller, zone, days.0).await
}

/// How easy or hard to bear what was felt on each day of the window.
#[endpoint(responses((status_code = 400, description = "There is no such window")))]
async fn intensity_chart(
    rooms: Shared<Rooms>,
    caller: Caller,
    zone: RequestZone,
    days: Query<Days>,
) -> Result<Json<Vec<DayIntensity>>, Problem> {
    chart(&rooms, &caller, zone, days.0).await
}

async fn chart<T: From<DayStats>>(
    rooms: &Rooms,
    caller: &Caller,
    zone: RequestZone,
    days: Days,
) -> Result<Json<Vec<T>>, Problem> {
    let window = days.window.ok_or_else(invalid_window)?;
    let message = GetDayStats { user: caller.user.id, window, zone: zone.or_of(caller) };
    let days = rooms.sessions.ask(message).await?;
    Ok(Json(days.into_iter().map(T::from).collect()))
}

/// What was detected in the window, in numbers and in a sentence. Not a medical diagnosis.
#[endpoint(responses((status_code = 400, description = "There is no such window")))]
async fn diagnosis(
    rooms: Shared<Rooms>,
    caller: Caller,
    zone: RequestZone,
    wanted: Body<Wanted>,
) -> Result<Json<DiagnosisView>, Problem> {
    let window = wanted.0.window.ok_or_else(invalid_window)?;
    let message = Diagnose { user: caller.user.id, window, zone: zone.or_of(&caller) };
    Ok(Json(rooms.sessions.ask(message).await?.into()))
}
