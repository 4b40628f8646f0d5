//! Charts and summaries of the emotions detected in a window of days.

use std::collections::BTreeMap;

use faceofmind_domain::sessions::{self, DayStats, Diagnose, Diagnosis, GetDayStats, Window};
use faceofmind_model::emotion::Intensity;
use jiff::tz::TimeZone;
use salvo::{
    Router, Writer,
    oapi::{Ref, RefOr, Schema, ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use crate::http::{
    body::Body,
    caller::Caller,
    fields::request,
    header::Header,
    problem::Problem,
    query::Query,
    state::{AppState, State},
    time_zone::{self, XTimeZone},
    validators::{ErrorMessage, FieldType, RawValue, WINDOW, nullable},
};

/// The routes that read several sessions.
pub(super) fn routers() -> [Router; 3] {
    [
        Router::with_path("dominant_emotion_chart").get(chart_dominant_emotions),
        Router::with_path("intensity_chart").get(chart_intensities),
        Router::with_path("diagnosis").post(diagnose),
    ]
}

/// The name of a window. A missing or unknown one is no field error (422): the contract answers it with 400, as
/// [`Problem::invalid_window`].
struct WindowName;

impl FieldType for WindowName {
    type Value = Option<Window>;

    fn read(raw: RawValue) -> Result<Option<Window>, ErrorMessage> {
        Ok(raw.into_text().ok().and_then(|name| name.parse().ok()))
    }

    fn absent() -> Option<Option<Window>> {
        Some(None)
    }

    fn schema() -> RefOr<Schema> {
        Ref::from_schema_name(WINDOW).into()
    }
}

/// The name of a window; `week` by default.
struct ChartWindow;

impl FieldType for ChartWindow {
    type Value = Option<Window>;

    const REQUIRED: bool = false;

    fn read(raw: RawValue) -> Result<Option<Window>, ErrorMessage> {
        WindowName::read(raw)
    }

    fn absent() -> Option<Option<Window>> {
        Some(Some(Window::Week))
    }

    fn schema() -> RefOr<Schema> {
        nullable(WindowName::schema())
    }
}

request! {
    /// The days of a chart.
    struct ChartQuery {
        /// `day` (today), `3days` (four days up to today), `week` (Monday to Sunday of this week, the default) or
        /// `month` (31 days up to today).
        window: ChartWindow,
    }
}

request! {
    /// The days to summarise.
    #[schema("DiagnosisRequest", example = { "window": "week" })]
    struct DiagnosisRequest {
        /// `day`, `3days`, `week` or `month`.
        window: WindowName,
    }
}

/// A day and its dominant emotion.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "DominantEmotion", example = json!({ "day": "2026-11-23", "dominant_emotion": "happy" })))]
struct DominantEmotion {
    #[salvo(schema(value_type = String, format = Date))]
    day: String,
    /// The emotion detected most often, in lower case. Of equally frequent ones, the most recent. Null when none was detected.
    dominant_emotion: Option<String>,
}

/// A day, its dominant emotion and the intensity of its emotions.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "DayIntensity", example = json!({
    "day": "2026-11-23", "dominant_emotion": "happy", "intensity_tally": { "mild": 3, "moderate": 1, "severe": 0 }
})))]
struct DayIntensity {
    #[serde(flatten)]
    #[salvo(schema(inline))]
    dominant: DominantEmotion,
    intensity_tally: IntensityCounts,
}

/// The number of detected emotions of each intensity.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "IntensityCounts", example = json!({ "mild": 3, "moderate": 1, "severe": 0 })))]
struct IntensityCounts {
    mild: u64,
    moderate: u64,
    severe: u64,
}

/// A summary of the emotions detected in the window. It is not a medical diagnosis.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Diagnosis", example = json!({
    "diagnosis": "Of the 4 emotions recorded this week, happy was seen most often (3 of 4): 3 counted as mild, 1 as moderate and 0 as severe.",
    "emotion_tally": { "calm": 1, "happy": 3 },
    "intensity_breakdown": { "mild": 3, "moderate": 1, "severe": 0 },
    "emotion_intensity_map": { "calm": "moderate", "happy": "mild" },
    "window": "week"
})))]
struct DiagnosisView {
    /// The summary in one sentence.
    diagnosis: String,
    /// How often each emotion, in lower case, was detected.
    emotion_tally: BTreeMap<String, u64>,
    intensity_breakdown: IntensityCounts,
    /// The intensity of each emotion: `mild`, `moderate` or `severe`.
    #[salvo(schema(value_type = BTreeMap<String, String>))]
    emotion_intensity_map: BTreeMap<String, Intensity>,
    /// The window of the request.
    window: &'static str,
}

impl From<sessions::IntensityCounts> for IntensityCounts {
    fn from(counts: sessions::IntensityCounts) -> Self {
        let sessions::IntensityCounts { mild, moderate, severe } = counts;
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
    fn from(diagnosis: Diagnosis) -> Self {
        let map = diagnosis.intensity_of_each().map(|(emotion, intensity)| (emotion.to_owned(), intensity)).collect();
        Self {
            diagnosis: diagnosis.sentence,
            emotion_tally: diagnosis.emotions,
            intensity_breakdown: diagnosis.intensities.into(),
            emotion_intensity_map: map,
            window: diagnosis.window.name(),
        }
    }
}

/// Returns the emotion detected most often on each day of the window.
#[endpoint(operation_id = "sessions_chart_dominant_emotions", responses(
    (status_code = 400, description = "There is no such window")
))]
async fn chart_dominant_emotions(
    state: State<AppState>,
    caller: Caller,
    zone: Header<XTimeZone>,
    query: Query<ChartQuery>,
) -> Result<Json<Vec<DominantEmotion>>, Problem> {
    chart(&state, &caller, zone, query.0).await
}

/// Returns the intensity of the emotions detected on each day of the window.
#[endpoint(operation_id = "sessions_chart_intensities", responses(
    (status_code = 400, description = "There is no such window")
))]
async fn chart_intensities(
    state: State<AppState>,
    caller: Caller,
    zone: Header<XTimeZone>,
    query: Query<ChartQuery>,
) -> Result<Json<Vec<DayIntensity>>, Problem> {
    chart(&state, &caller, zone, query.0).await
}

async fn chart<T: From<DayStats>>(
    state: &AppState,
    caller: &Caller,
    zone: Header<XTimeZone>,
    query: ChartQuery,
) -> Result<Json<Vec<T>>, Problem> {
    let window = query.window.ok_or_else(Problem::invalid_window)?;
    let message = GetDayStats { user: caller.user.id, window, zone: zone_of(zone, caller) };
    let days = state.modules.sessions.ask(message).await?;
    Ok(Json(days.into_iter().map(T::from).collect()))
}

/// Summarises the emotions detected in the window, in numbers and in a sentence. It is not a medical diagnosis.
#[endpoint(operation_id = "sessions_diagnose", responses((status_code = 400, description = "There is no such window")))]
async fn diagnose(
    state: State<AppState>,
    caller: Caller,
    zone: Header<XTimeZone>,
    body: Body<DiagnosisRequest>,
) -> Result<Json<DiagnosisView>, Problem> {
    let window = body.0.window.ok_or_else(Problem::invalid_window)?;
    let message = Diagnose { user: caller.user.id, window, zone: zone_of(zone, &caller) };
    Ok(Json(state.modules.sessions.ask(message).await?.into()))
}

/// The time zone of the request, or else of the user, if either is set.
fn zone_of(zone: Header<XTimeZone>, caller: &Caller) -> Option<TimeZone> {
    zone.0.or_else(|| time_zone::find(caller.user.time_zone.as_deref()?).ok())
}
