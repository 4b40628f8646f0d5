//! What happened, as other services receive it: CloudEvents 1.0 in JSON. No I/O.
//!
//! An event's `type` is `faceofmind.v1.<aggregate>.<what>`. With the user's id appended it is the NATS subject. A change that could break
//! a consumer gets a new version; a new field or a new event does not.

use faceofmind_base::{Rng, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::UserId;

mod community;
mod context;
mod reminder;
mod session;
mod user;

pub use community::CommunityEvent;
pub use context::{EventContext, Initiator};
pub use reminder::ReminderEvent;
pub use session::SessionEvent;
pub use user::UserEvent;

/// The prefix of every `type` and every NATS subject.
pub const PREFIX: &str = "faceofmind.v1.";
/// The `type` of [`UserEvent::Deleted`].
pub const USER_DELETED: &str = "faceofmind.v1.user.deleted";
/// Every `type` that this program has recorded.
pub const KINDS: [&str; 16] = [
    "faceofmind.v1.user.registered",
    "faceofmind.v1.user.verified",
    "faceofmind.v1.user.updated",
    "faceofmind.v1.user.status_changed",
    "faceofmind.v1.user.password_changed",
    "faceofmind.v1.user.email_changed",
    USER_DELETED,
    "faceofmind.v1.session.started",
    "faceofmind.v1.session.ended",
    "faceofmind.v1.session.deleted",
    "faceofmind.v1.emotion.detected",
    "faceofmind.v1.emotion.crisis",
    "faceofmind.v1.feedback.submitted",
    "faceofmind.v1.community.post_created",
    "faceofmind.v1.community.comment_created",
    "faceofmind.v1.reminder.due",
];
const SPECVERSION: &str = "1.0";
const SOURCE: &str = "/faceofmind/user-api";
const DATA_CONTENT_TYPE: &str = "application/json";

/// The events of one module: an enum whose serialised tag is the CloudEvents `type`, and whose fields are the `data`.
///
/// An event holds ids, known words and times, and nothing that a person wrote. It is `Copy`, so no `String` fits in.
pub trait DomainEvent: Copy + Serialize + JsonSchema {
    /// The user whom the event is about.
    fn user_id(&self) -> UserId;

    /// Returns `<aggregate>/<id>`. Consumers receive the events of one aggregate in the order in which they happened.
    fn aggregate(&self) -> String;

    /// Makes the CloudEvent to record: with an id, the time, and the context in which it happened.
    fn into_cloud_event(self, context: &EventContext, now: Timestamp, rng: &Rng) -> CloudEvent {
        let (id, aggregate) = (rng.uuid_v7(now), self.aggregate());
        let envelope = Envelope::new(id, &aggregate, now, context, self);
        let envelope = serde_json::to_string(&envelope).expect("ids, words and times are JSON");
        CloudEvent { id, user_id: self.user_id(), recorded_at: now, envelope, aggregate }
    }
}

/// The attributes of CloudEvents 1.0 §3, then the extensions.
#[derive(Serialize, JsonSchema)]
pub struct Envelope<'a, E> {
    /// The version of CloudEvents.
    #[schemars(extend("const" = SPECVERSION))]
    specversion: &'static str,
    /// The event's id, a UUID version 7. A consumer that has processed an id before has processed this event.
    id: Uuid,
    /// The service that recorded the event.
    #[schemars(extend("const" = SOURCE))]
    source: &'static str,
    /// `<aggregate>/<id>`: what changed. The events of one subject arrive in the order in which they happened.
    #[schemars(extend("pattern" = "^(user|session|post|reminder)/[0-9]+$"))]
    subject: &'a str,
    /// When it was recorded, in the transaction of the change.
    time: Timestamp,
    /// The media type of `data`.
    #[schemars(extend("const" = DATA_CONTENT_TYPE))]
    datacontenttype: &'static str,
    #[serde(flatten)]
    context: &'a EventContext,
    #[serde(flatten)]
    event: E,
}

impl<'a, E> Envelope<'a, E> {
    /// Wraps an event.
    pub fn new(id: Uuid, subject: &'a str, time: Timestamp, context: &'a EventContext, event: E) -> Self {
        let (specversion, source, datacontenttype) = (SPECVERSION, SOURCE, DATA_CONTENT_TYPE);
        Self { specversion, id, source, subject, time, datacontenttype, context, event }
    }
}

/// An event that is ready to be recorded. Only [`DomainEvent::into_cloud_event`] makes one, so nothing else gets into an envelope.
#[derive(Clone, Debug)]
pub struct CloudEvent {
    id: Uuid,
    aggregate: String,
    user_id: UserId,
    envelope: String,
    recorded_at: Timestamp,
}

impl CloudEvent {
    /// The event's id, a UUID version 7. Consumers deduplicate by it.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// `<aggregate>/<id>`.
    pub fn aggregate(&self) -> &str {
        &self.aggregate
    }

    /// The user whom it is about.
    pub fn user_id(&self) -> UserId {
        self.user_id
    }

    /// The CloudEvents JSON.
    pub fn envelope(&self) -> &str {
        &self.envelope
    }

    /// When it was recorded.
    pub fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }
}

/// A published event, as event streams carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedEvent {
    /// Its position in the order of publishing: strictly increasing. An erased event leaves a gap. Streams resume by it.
    pub position: i64,
    /// The NATS subject: `faceofmind.v1.<aggregate>.<what>.<user_id>`.
    pub subject: String,
    /// The user whom it is about.
    pub user_id: UserId,
    /// The CloudEvents JSON.
    pub envelope: String,
}

impl PublishedEvent {
    /// Returns the CloudEvents `type`: `faceofmind.v1.<aggregate>.<what>`.
    pub fn kind(&self) -> &str {
        self.subject.rsplit_once('.').map_or(self.subject.as_str(), |(kind, _)| kind)
    }
}

/// Returns the id and the NATS subject of an envelope, or `None` when the text is not an envelope of this program.
pub fn id_and_subject_of(envelope: &str, user_id: UserId) -> Option<(String, String)> {
    #[derive(Deserialize)]
    struct Head {
        id: String,
        #[serde(rename = "type")]
        kind: String,
    }
    let Head { id, kind } = serde_json::from_str(envelope).ok()?;
    Some((id, format!("{kind}.{user_id}")))
}

#[cfg(test)]
mod tests;
