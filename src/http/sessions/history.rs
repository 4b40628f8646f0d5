//! `/sessions/{id}/history`: the recorded data of a session.

use faceofmind_base::Timestamp;
use faceofmind_db::export::{ExportAborted, JsonWriter};
use faceofmind_domain::sessions::{
    DetectionRecord, GetHistory, History, RelevantUrls, SessionError, SessionTracker, Suggestion,
};
use faceofmind_model::{DetectionId, SessionId};
use faceofmind_platform::caller::user as share_of;
use faceofmind_runtime::{ConcurrencyPermit, Handle};
use salvo::{
    Depot, Request, Response, Writer, async_trait,
    oapi::{Components, EndpointOutRegister, Operation, ToSchema, endpoint},
    writing::Json,
};
use serde::Serialize;
use serde_json::{Value, json};
use tracing::Instrument;

use super::SessionView;
use crate::http::{
    caller::Caller,
    path::PathId,
    problem::Problem,
    responses::stream_json,
    state::{AppState, State},
};

/// A session with its detections.
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
    /// The detections by ascending timestamp.
    emotion_detections: Vec<DetectionView>,
    /// The distinct URLs of all suggestions.
    relevant_urls: Vec<String>,
    /// Always false: a history is never cut. For clients that read it.
    truncated: bool,
}

/// A detection of a session.
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
    /// The colour of the emotion, `#RRGGBB`.
    emotion_color: &'static str,
    /// The emotion as sent by the client.
    facial_emotion: Option<String>,
}

/// The emotion detected in a face.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "FacialData", example = json!({ "id": 35, "detection_id": 34, "emotion": "Sad" })))]
struct FaceView {
    id: i64,
    detection_id: i64,
    emotion: String,
}

/// What the user said.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "VoiceData", example = json!({ "id": 36, "detection_id": 34, "content": "I miss my family." })))]
struct VoiceView {
    id: i64,
    detection_id: i64,
    content: String,
}

/// Suggestions for the user.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "WellnessSuggestion", example = json!({
    "id": 37, "detection_id": 34, "suggestion": "- I hear you.\n- Call someone you trust.",
    "acknowledgment": "I hear you.", "suggestions": ["Call someone you trust."],
    "url": ["https://www.who.int/health-topics/mental-health"]
})))]
struct SuggestionView {
    id: i64,
    detection_id: i64,
    /// The stored text: lines that begin with `- `.
    suggestion: String,
    /// The first line.
    acknowledgment: String,
    /// The other lines.
    suggestions: Vec<String>,
    /// Further reading.
    url: Vec<String>,
}

impl From<History> for HistoryView {
    fn from(History { session, detections, .. }: History) -> Self {
        let mut relevant_urls = RelevantUrls::default();
        relevant_urls.add(&detections);
        let view = |record| DetectionView::of(session.id, record);
        let emotion_detections = detections.into_iter().map(view).collect();
        Self { session: session.into(), emotion_detections, relevant_urls: relevant_urls.into_vec(), truncated: false }
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

/// A history whose first page is read. One of several pages is sent while the others are read, so that it never stands in memory as a whole.
/// When reading fails the connection is closed, so that the client sees an incomplete transfer and never a document that looks complete.
pub(super) struct HistoryResponse {
    first: History,
    request: GetHistory,
    sessions: Handle<SessionTracker>,
    /// Where it has several pages.
    permit: Option<ConcurrencyPermit>,
}

/// Why a history ended early.
#[derive(Debug, thiserror::Error)]
enum HistoryTruncated {
    #[error(transparent)]
    Writing(#[from] ExportAborted),
    #[error(transparent)]
    Reading(#[from] SessionError),
}

#[async_trait]
impl Writer for HistoryResponse {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        if self.first.next.is_none() {
            return res.render(Json(HistoryView::from(self.first)));
        }
        let (writer, stream) = JsonWriter::open();
        let write = async move {
            match self.write_pages(writer).await {
                Ok(()) => {}
                Err(HistoryTruncated::Writing(error)) => tracing::info!(%error, "history truncated"),
                Err(HistoryTruncated::Reading(error)) => {
                    tracing::warn!(%error, "history truncated: a page was not read")
                }
            }
        };
        tokio::spawn(write.in_current_span());
        stream_json(res, stream);
    }
}

impl HistoryResponse {
    async fn write_pages(self, mut writer: JsonWriter) -> Result<(), HistoryTruncated> {
        let Self { first: mut page, mut request, sessions, permit: _permit } = self;
        if let Value::Object(session) = json!(SessionView::from(page.session)) {
            for (name, value) in &session {
                writer.field(name, value).await?;
            }
        }
        let mut relevant_urls = RelevantUrls::default();
        let mut array = writer.array("emotion_detections")?;
        loop {
            relevant_urls.add(&page.detections);
            for record in page.detections {
                array.item(&DetectionView::of(request.session, record)).await?;
            }
            request.after = page.next;
            if request.after.is_none() {
                break;
            }
            page = sessions.ask(request).await?;
        }
        array.close();
        writer.field("relevant_urls", &relevant_urls.into_vec()).await?;
        writer.field("truncated", &false).await?;
        Ok(writer.close().send().await?)
    }
}

impl EndpointOutRegister for HistoryResponse {
    fn register(components: &mut Components, operation: &mut Operation) {
        Json::<HistoryView>::register(components, operation);
    }
}

/// Returns a session with its detections.
///
/// A long history is sent while it is read. An incomplete transfer must be started again.
#[endpoint(operation_id = "sessions_show_history", responses(
    (status_code = 404, description = "The user has no such session"),
    (status_code = 429, description = "As many long histories are being sent as one user may receive at a time")
))]
pub(super) async fn show_history(
    state: State<AppState>,
    caller: Caller,
    id: PathId,
) -> Result<HistoryResponse, Problem> {
    let request = GetHistory { user: caller.user.id, session: SessionId(id.0), after: None };
    let sessions = state.modules.sessions.clone();
    let first = sessions.ask(request).await?;
    let permit = first.next.map(|_| state.histories.acquire(share_of(caller.user.id))).transpose()?;
    Ok(HistoryResponse { first, request, sessions, permit })
}
