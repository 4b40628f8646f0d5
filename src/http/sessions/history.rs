//! All that was recorded in a session.

use faceofmind_actors::session_tracker::{DetectionId, DetectionRecord, GetHistory, History, SessionId, Suggestion};
use faceofmind_kit::Timestamp;
use salvo::{
    Writer,
    oapi::{ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;

use super::SessionView;
use crate::{
    app::Rooms,
    http::{caller::Caller, path::PathId, problem::Problem, shared::Shared},
};

/// A session with all that was recorded in it.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "History", example = json!({
    "id": 12, "user_id": 7, "start_time": "2026-11-23T08:00:00+00:00", "end_time": "2026-11-23T08:10:00+00:00",
    "emotion_detections": [{
        "id": 34, "session_id": 12, "timestamp": "2026-11-23T08:10:00+00:00",
        "facial_data": { "id": 35, "detection_id": 34, "emotion": "Sad" },
        "voice_data": { "id": 36, "detection_id": 34, "content": "I miss my family." },
        "wellness_suggestions": {
            "id": 37, "detection_id": 34, "suggestion": "- I hear you.\n- Call someone you trust.",
            "acknowledgment": "I hear you.", "suggestions": ["Call someone you trust."],
            "url": ["https://www.who.int/health-topics/mental-health"]
        },
        "emotion_color": "#5C6BC0", "facial_emotion": "Sad"
    }],
    "relevant_urls": ["https://www.who.int/health-topics/mental-health"], "truncated": false
})))]
pub(super) struct HistoryView {
    #[serde(flatten)]
    #[salvo(schema(inline))]
    session: SessionView,
    /// In the order of their times.
    emotion_detections: Vec<DetectionView>,
    /// The addresses of all suggestions, each once.
    relevant_urls: Vec<String>,
    /// Whether the oldest detections were left out, since all of them hold more than about 32 MiB of text.
    truncated: bool,
}

/// One moment of a session.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "RecordedDetection"))]
struct DetectionView {
    id: i64,
    session_id: i64,
    #[salvo(schema(value_type = String, format = DateTime))]
    timestamp: Timestamp,
    facial_data: Option<FaceView>,
    voice_data: Option<VoiceView>,
    wellness_suggestions: Option<SuggestionView>,
    /// `#RRGGBB`.
    emotion_color: &'static str,
    /// The emotion as it was sent.
    facial_emotion: Option<String>,
}

/// What was seen.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "FacialData", example = json!({ "id": 35, "detection_id": 34, "emotion": "Sad" })))]
struct FaceView {
    id: i64,
    detection_id: i64,
    emotion: String,
}

/// What was said.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "VoiceData", example = json!({ "id": 36, "detection_id": 34, "content": "I miss my family." })))]
struct VoiceView {
    id: i64,
    detection_id: i64,
    content: String,
}

/// What was suggested.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "WellnessSuggestion", example = json!({
    "id": 37, "detection_id": 34, "suggestion": "- I hear you.\n- Call someone you trust.",
    "acknowledgment": "I hear you.", "suggestions": ["Call someone you trust."],
    "url": ["https://www.who.int/health-topics/mental-health"]
})))]
struct SuggestionView {
    id: i64,
    detection_id: i64,
    /// As it is stored: lines with `- ` before each.
    suggestion: String,
    /// Its first line.
    acknowledgment: String,
    /// The other lines.
    suggestions: Vec<String>,
    /// Where to read on.
    url: Vec<String>,
}

impl From<History> for HistoryView {
    fn from(read: History) -> Self {
        let relevant_urls = read.relevant_urls().into_iter().map(str::to_owned).collect();
        let History { session, detections, truncated } = read;
        let view = |record| DetectionView::of(session.id, record);
        let emotion_detections = detections.into_iter().map(view).collect();
        Self { session: session.into(), emotion_detections, relevant_urls, truncated }
    }
}

impl DetectionView {
    fn of(session: SessionId, record: DetectionRecord) -> Self {
        let emotion_color = record.colour();
        let DetectionRecord { id, timestamp, face, voice, suggestion } = record;
        Self {
            id: id.0,
            session_id: session.0,
            timestamp,
            facial_emotion: face.as_ref().map(|(_, emotion)| emotion.clone()),
            facial_data: face.map(|(face, emotion)| FaceView { id: face.0, detection_id: id.0, emotion }),
            voice_data: voice.map(|(voice, content)| VoiceView { id: voice.0, detection_id: id.0, content }),
            wellness_suggestions: suggestion.map(|suggestion| SuggestionView::of(id, suggestion)),
            emotion_color,
        }
    }
}

impl SuggestionView {
    fn of(detection: DetectionId, suggestion: Suggestion) -> Self {
        let Suggestion { id, stored, acknowledgment, suggestions, urls } = suggestion;
        Self { id: id.0, detection_id: detection.0, suggestion: stored, acknowledgment, suggestions, url: urls }
    }
}

/// One session with all that was recorded in it.
#[endpoint(responses((status_code = 404, description = "There is no such session of yours")))]
pub(super) async fn history(rooms: Shared<Rooms>, caller: Caller, id: PathId) -> Result<Json<HistoryView>, Problem> {
    let message = GetHistory { user: caller.user.id, session: SessionId(id.0) };
    Ok(Json(rooms.sessions.ask(message).await?.into()))
}
