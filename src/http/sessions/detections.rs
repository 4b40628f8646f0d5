//! `/sessions/{id}/process_emotion` and `/sessions/{id}/detections`: the detected emotions of a session.

use faceofmind_domain::sessions::{
    self, Detection, EmotionProcessed, MAX_DETECTIONS_PER_REQUEST, ProcessEmotion, RecordDetections,
    accepted_timestamps,
};
use faceofmind_domain::suggestions::crisis;
use faceofmind_model::SessionId;
use salvo::{
    Depot, Request, Router, Writer,
    oapi::{Components, Operation, ToSchema, endpoint},
};
use serde::Serialize;

use super::context;
use crate::http::{
    body::{Body, document_batch, json},
    caller::Caller,
    extract::extractor,
    fields::{FieldReader, FromFields, read_batch, request},
    helplines::RequestLocale,
    idempotency::Idempotency,
    path::PathId,
    problem::Problem,
    responses::{IdempotentResponse, respond},
    state::{AppState, State},
    validators::{Fraction, LongText, NonBlank, Rfc3339},
};

pub(super) fn router() -> Router {
    Router::with_path("{id}")
        .push(Router::with_path("process_emotion").post(process_emotion))
        .push(Router::with_path("detections").post(detect))
}

request! {
    /// A detected emotion and what the user said.
    #[schema("ProcessEmotionRequest", example = { "emotion": "sad", "voice_content": "I could not sleep again." })]
    struct ProcessEmotionRequest {
        /// Free text. The history and the charts compare it in lower case.
        emotion: NonBlank<64>,
        /// What the user said, up to a whole consultation. May be empty. Its bound is that of the body: 1 MiB by default.
        voice_content: LongText,
    }
}

request! {
    /// An emotion that the client detected.
    #[schema("DetectionInput", example = {
        "emotion": "happy", "confidence": 0.93, "timestamp": "2026-11-23T08:00:00+00:00"
    })]
    struct DetectionInput {
        /// Free text. The history and the charts compare it in lower case.
        emotion: NonBlank<64>,
        /// The confidence of the client, from 0 to 1.
        confidence: Option<Fraction>,
        /// What the user said, up to a whole consultation. Its bound is that of the body: 1 MiB by default.
        voice_content: Option<LongText>,
        /// The time of the detection, by default the time of the request. Not before 2000, and at most five minutes in
        /// the future.
        timestamp: Option<Rfc3339>,
    }
}

impl DetectionInput {
    /// The length of its texts.
    fn bytes(&self) -> usize {
        self.emotion.len() + self.voice_content.as_ref().map_or(0, String::len)
    }
}

impl From<DetectionInput> for Detection {
    fn from(DetectionInput { emotion, confidence, voice_content, timestamp }: DetectionInput) -> Self {
        Self::new(emotion, voice_content.unwrap_or_default()).with_confidence(confidence).with_timestamp(timestamp)
    }
}

/// One detection or a list of up to 1,000. Their timestamps are checked against the clock of the service.
struct DetectionBatch(Vec<DetectionInput>);

impl DetectionBatch {
    async fn from_request(req: &mut Request, depot: &Depot) -> Result<Self, Problem> {
        let accepted = accepted_timestamps(State::<AppState>::of(depot)?.platform.clock.now());
        let read = |fields: &mut FieldReader<'_>| {
            let timestamp = fields.peek::<Rfc3339>("timestamp");
            let input = DetectionInput::from_fields(fields);
            if timestamp.is_some_and(|timestamp| !accepted.contains(&timestamp)) {
                fields.reject("timestamp", "must not be before 2000, nor more than five minutes ahead");
            }
            input
        };
        read_batch(json(req, depot).await?, 1..=MAX_DETECTIONS_PER_REQUEST, read).map(Self)
    }

    /// Searches the texts for talk of suicide or self-harm.
    async fn into_detections(self, caller: &Caller) -> Result<Vec<Detection>, Problem> {
        let bytes = self.0.iter().map(DetectionInput::bytes).sum();
        let search = move || self.0.into_iter().map(Detection::from).collect();
        Ok(crisis::search(caller.user.id, bytes, search).await?)
    }

    fn document(components: &mut Components, operation: &mut Operation) {
        document_batch::<DetectionInput>(components, operation, MAX_DETECTIONS_PER_REQUEST);
    }
}

extractor!(DetectionBatch);

/// A processed emotion with suggestions.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "ProcessedEmotion", example = json!({
    "session_id": 12, "emotion": "sad", "voice_content": "I could not sleep again.",
    "suggestions": ["That sounds exhausting.", "Put the phone away an hour before bed.", "Breathe out longer than you breathe in.",
        "Write down what keeps you awake.", "Tell a friend how you are."],
    "emotion_color": "#5B7DB1", "urls": ["https://www.who.int/health-topics/mental-health"]
})))]
struct ProcessedEmotion {
    session_id: i64,
    /// The emotion of the request.
    emotion: String,
    /// The text of the request.
    voice_content: String,
    /// Five lines: an acknowledgment and four tips or, when the text mentions suicide or self-harm, where to find help.
    suggestions: Vec<String>,
    /// The colour of the emotion, `#RRGGBB`.
    emotion_color: &'static str,
    urls: Vec<String>,
}

impl From<EmotionProcessed> for ProcessedEmotion {
    fn from(processed: EmotionProcessed) -> Self {
        let EmotionProcessed { session_id, emotion, voice_content, suggestions, emotion_color, urls } = processed;
        Self { session_id: session_id.0, emotion, voice_content, suggestions, emotion_color, urls }
    }
}

/// Records an emotion and what the user said, suggests what may help, and ends the session. A session that has ended
/// keeps its end time.
#[endpoint(operation_id = "sessions_process_emotion", responses(
    (status_code = 404, description = "The user has no such session")
))]
async fn process_emotion(
    state: State<AppState>,
    caller: Caller,
    id: PathId,
    key: Idempotency,
    body: Body<ProcessEmotionRequest>,
    locale: RequestLocale,
) -> Result<IdempotentResponse<ProcessedEmotion, 200>, Problem> {
    let ProcessEmotionRequest { emotion, voice_content } = body.0;
    let bytes = voice_content.len();
    let detection = crisis::search(caller.user.id, bytes, || Detection::new(emotion, voice_content)).await?;
    let message = ProcessEmotion {
        session: SessionId(id.0),
        detection,
        locale: locale.of_advice(&caller),
        context: context(&caller, key),
        respond: respond::<_, ProcessedEmotion, 200>,
    };
    Ok(state.modules.sessions.ask(message).await?.into())
}

/// The ids of the recorded detections.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "DetectionsRecorded", example = json!({ "id": 31, "ids": [31] })))]
struct DetectionsRecorded {
    /// The id of a single detection. Absent for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    /// The ids in the order of the request.
    ids: Vec<i64>,
    /// Help to show to the user. Present only when a text mentions suicide or self-harm.
    #[serde(skip_serializing_if = "Option::is_none")]
    crisis: Option<CrisisResponse>,
}

/// Help for a user who mentions suicide or self-harm.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "CrisisResponse", example = json!({
    "suggestions": ["I am glad that you said this."], "urls": ["https://www.who.int/health-topics/suicide"]
})))]
struct CrisisResponse {
    /// Five lines with hotlines.
    suggestions: Vec<String>,
    urls: Vec<String>,
}

impl From<sessions::CrisisResponse> for CrisisResponse {
    fn from(sessions::CrisisResponse { suggestions, urls }: sessions::CrisisResponse) -> Self {
        Self { suggestions, urls }
    }
}

impl From<sessions::DetectionsRecorded> for DetectionsRecorded {
    fn from(sessions::DetectionsRecorded { id, ids, crisis }: sessions::DetectionsRecorded) -> Self {
        let ids = ids.into_iter().map(|id| id.0).collect();
        Self { id: id.map(|id| id.0), ids, crisis: crisis.map(CrisisResponse::from) }
    }
}

/// Records one or up to 1,000 detections, all or none. The session stays open. A session that has ended accepts
/// detections from before its end.
#[endpoint(operation_id = "sessions_detect", responses(
    (status_code = 404, description = "The user has no such session"),
    (status_code = 409, description = "The session has ended, and some detections are later than its end")
))]
async fn detect(
    state: State<AppState>,
    caller: Caller,
    id: PathId,
    key: Idempotency,
    batch: DetectionBatch,
    locale: RequestLocale,
) -> Result<IdempotentResponse<DetectionsRecorded>, Problem> {
    let message = RecordDetections {
        session: SessionId(id.0),
        detections: batch.into_detections(&caller).await?,
        locale: locale.of_advice(&caller),
        context: context(&caller, key),
        respond: respond::<_, DetectionsRecorded, 201>,
    };
    Ok(state.modules.sessions.ask(message).await?.into())
}
