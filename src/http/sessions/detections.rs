//! `/sessions/{id}/process_emotion` and `/sessions/{id}/detections`: what is felt.

use std::{fmt::Debug, ops::RangeInclusive};

use faceofmind_actors::session_tracker::{
    AdviceLocale, CrisisResponse, Detection, DetectionsRecorded, EmotionProcessed, MAX_DETECTIONS_PER_REQUEST,
    ProcessEmotion, RecordDetections, SessionId, accepted_timestamps,
};
use faceofmind_kit::Timestamp;
use jiff::tz::TimeZone;
use salvo::{
    Depot, Extractible, Request, Router, Writer,
    extract::Metadata,
    oapi::{Components, EndpointArgRegister, Operation, ToSchema, endpoint},
};
use serde::Serialize;

use super::{context, respond};
use crate::{
    app::Rooms,
    http::{
        answers::First,
        body::{Batch, Body, json},
        caller::Caller,
        fields::{Fields, FromFields, Read, read_batch_by},
        idempotency::Idempotency,
        kinds::{Given, Refusal, moment, number, text},
        no_metadata,
        path::PathId,
        problem::Problem,
        shared::Shared,
    },
};

pub(super) fn router() -> Router {
    Router::with_path("{id}")
        .push(Router::with_path("process_emotion").post(process_emotion))
        .push(Router::with_path("detections").post(detect))
}

/// An emotion's name: any that is not blank, kept as it was sent.
fn emotion() -> impl FnOnce(Given) -> Result<String, Refusal> {
    |given| {
        let emotion = text(1..=64)(given)?;
        if emotion.trim().is_empty() { Err("must not be blank".into()) } else { Ok(emotion) }
    }
}

/// A moment at which something may have been felt that is sent now.
fn felt(plausible: &RangeInclusive<Timestamp>) -> impl FnOnce(Given) -> Result<Timestamp, Refusal> {
    move |given| {
        let moment = Timestamp::from(moment()(given)?);
        let refusal = || "must not be before 2000, nor more than five minutes ahead".into();
        plausible.contains(&moment).then_some(moment).ok_or_else(refusal)
    }
}

/// An emotion that was detected, and what was said.
#[derive(ToSchema)]
#[salvo(schema(example = json!({ "emotion": "sad", "voice_content": "I could not sleep again." })))]
struct Emotion {
    /// Free text; `GET /history` and the charts compare it in lower case.
    #[salvo(schema(min_length = 1, max_length = 64))]
    emotion: String,
    /// May be empty.
    #[salvo(schema(max_length = 10_000))]
    voice_content: String,
}

impl FromFields for Emotion {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let emotion = fields.required("emotion", emotion());
        let voice_content = fields.required("voice_content", text(0..=10_000));
        fields.finish(|valid| Self { emotion: emotion.get(valid), voice_content: voice_content.get(valid) })
    }
}

/// An emotion that a client detected by itself.
#[derive(ToSchema)]
#[salvo(schema(name = "Detection", example = json!({
    "emotion": "happy", "confidence": 0.93, "timestamp": "2026-11-23T08:00:00+00:00"
})))]
struct Streamed {
    /// Free text; `GET /history` and the charts compare it in lower case.
    #[salvo(schema(min_length = 1, max_length = 64))]
    emotion: String,
    /// How sure the client is.
    #[salvo(schema(minimum = 0, maximum = 1))]
    confidence: Option<f64>,
    /// What was said with it.
    #[salvo(schema(max_length = 10_000))]
    voice_content: Option<String>,
    /// When it was felt; now, unless told. Not before 2000, nor more than five minutes ahead.
    #[salvo(schema(value_type = Option<String>, format = DateTime))]
    timestamp: Option<Timestamp>,
}

impl Streamed {
    fn read(fields: &mut Fields<'_>, plausible: &RangeInclusive<Timestamp>) -> Read<Self> {
        let emotion = fields.required("emotion", emotion());
        let confidence = fields.optional("confidence", number(0.0..=1.0));
        let voice_content = fields.optional("voice_content", text(0..=10_000));
        let timestamp = fields.optional("timestamp", felt(plausible));
        fields.finish(|valid| Self {
            emotion: emotion.get(valid),
            confidence: confidence.get(valid),
            voice_content: voice_content.get(valid),
            timestamp: timestamp.get(valid),
        })
    }
}

impl From<Streamed> for Detection {
    fn from(Streamed { emotion, confidence, voice_content, timestamp }: Streamed) -> Self {
        Self::new(emotion, voice_content.unwrap_or_default()).with_confidence(confidence).with_timestamp(timestamp)
    }
}

/// One or up to a thousand detections, whose moments are held against the service's clock.
struct Stream(Vec<Detection>);

impl<'ex> Extractible<'ex> for Stream {
    fn metadata() -> &'static Metadata {
        no_metadata()
    }

    async fn extract(
        req: &'ex mut Request,
        depot: &'ex mut Depot,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        let plausible = accepted_timestamps(Shared::<Rooms>::of(depot)?.house().clock.now());
        let streamed = read_batch_by(json(req).await?, 1..=MAX_DETECTIONS_PER_REQUEST, |fields| {
            Streamed::read(fields, &plausible)
        })?;
        Ok::<_, Problem>(Self(streamed.into_iter().map(Detection::from).collect()))
    }
}

impl EndpointArgRegister for Stream {
    fn register(components: &mut Components, operation: &mut Operation, arg: &str) {
        Batch::<Streamed, MAX_DETECTIONS_PER_REQUEST>::register(components, operation, arg);
    }
}

/// What came of a detection.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "ProcessedEmotion", example = json!({
    "session_id": 12, "emotion": "sad", "voice_content": "I could not sleep again.",
    "suggestions": ["That sounds exhausting.", "Put the phone away an hour before bed.", "Breathe out longer than you breathe in.",
        "Write down what keeps you awake.", "Tell somebody how you are."],
    "emotion_color": "#5B7DB1", "urls": ["https://www.who.int/health-topics/mental-health"]
})))]
struct ProcessedView {
    session_id: i64,
    /// As it was sent.
    emotion: String,
    /// As it was sent.
    voice_content: String,
    /// Five lines: an acknowledgment and four tips; or, where somebody speaks of suicide or self-harm, where to find help.
    suggestions: Vec<String>,
    /// `#RRGGBB`.
    emotion_color: &'static str,
    urls: Vec<String>,
}

impl From<EmotionProcessed> for ProcessedView {
    fn from(processed: EmotionProcessed) -> Self {
        let EmotionProcessed { session_id, emotion, voice_content, suggestions, emotion_color, urls } = processed;
        Self { session_id: session_id.0, emotion, voice_content, suggestions, emotion_color, urls }
    }
}

/// Keeps an emotion and what was said, suggests what may help, and ends the session; one that has ended keeps its end.
#[endpoint(responses((status_code = 404, description = "There is no such session of yours")))]
async fn process_emotion(
    rooms: Shared<Rooms>,
    caller: Caller,
    id: PathId,
    key: Idempotency,
    body: Body<Emotion>,
    req: &mut Request,
) -> Result<First<ProcessedView, 200>, Problem> {
    let Emotion { emotion, voice_content } = body.0;
    let message = ProcessEmotion {
        session: SessionId(id.0),
        detection: Detection::new(emotion, voice_content),
        locale: advice_locale(req, &caller),
        context: context(&caller, key),
        respond: respond::<_, ProcessedView, 200>,
    };
    Ok(First::Again(rooms.sessions.ask(message).await?))
}

/// The keys of what was recorded.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Detected", example = json!({ "id": 31, "ids": [31] })))]
struct DetectedView {
    /// Where there is one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    /// In the order in which they were sent.
    ids: Vec<i64>,
    /// There only when somebody speaks of suicide or self-harm: to be shown to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    crisis: Option<ComfortView>,
}

/// Words for somebody who speaks of suicide or self-harm.
#[derive(Serialize, ToSchema)]
#[salvo(schema(name = "Comfort", example = json!({
    "suggestions": ["I am glad that you said this."], "urls": ["https://www.who.int/health-topics/suicide"]
})))]
struct ComfortView {
    /// Five lines that name hotlines.
    suggestions: Vec<String>,
    urls: Vec<String>,
}

impl From<CrisisResponse> for ComfortView {
    fn from(CrisisResponse { suggestions, urls }: CrisisResponse) -> Self {
        Self { suggestions, urls }
    }
}

impl From<DetectionsRecorded> for DetectedView {
    fn from(DetectionsRecorded { id, ids, crisis }: DetectionsRecorded) -> Self {
        let ids = ids.into_iter().map(|id| id.0).collect();
        Self { id: id.map(|id| id.0), ids, crisis: crisis.map(ComfortView::from) }
    }
}

/// Keeps one or up to a thousand detections of a client that streams, all or none; the session stays open. One that has ended takes in
/// what was felt before its end.
#[endpoint(responses(
    (status_code = 404, description = "There is no such session of yours"),
    (status_code = 409, description = "The session has ended, and some of it was felt after that")
))]
async fn detect(
    rooms: Shared<Rooms>,
    caller: Caller,
    id: PathId,
    key: Idempotency,
    stream: Stream,
    req: &mut Request,
) -> Result<First<DetectedView>, Problem> {
    let message = RecordDetections {
        session: SessionId(id.0),
        detections: stream.0,
        locale: advice_locale(req, &caller),
        context: context(&caller, key),
        respond: respond::<_, DetectedView, 201>,
    };
    Ok(First::Again(rooms.sessions.ask(message).await?))
}

/// The time zone is that of the request, else that of the user's settings.
fn advice_locale(req: &Request, caller: &Caller) -> AdviceLocale {
    let header = req.headers().get("x-time-zone").and_then(|value| value.to_str().ok());
    let named = header.filter(|name| TimeZone::get(name).is_ok()).map(str::to_owned);
    let language = caller.user.language.clone().or_else(|| caller.client.languages.first().cloned());
    AdviceLocale { time_zone: named.or_else(|| caller.user.time_zone.clone()), language }
}
