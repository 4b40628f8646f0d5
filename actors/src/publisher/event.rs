//! What happened, as sibling services hear of it: CloudEvents 1.0 in JSON. No I/O.
//!
//! The `type` is `faceofmind.v1.<aggregate>.<what>`; with the user's id behind it, it is the NATS subject. A change that could break a
//! reader gets a new version; a new field or a new event does not.

use faceofmind_kit::{Rng, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Origin;
use crate::{
    community::{CommentId, PostId},
    emotions::Label,
    reminders::ReminderId,
    session_tracker::{DetectionId, FeedbackId, SessionId},
    user_registry::{Role, Status, UserId},
};

/// What every type and every NATS subject begins with.
pub const PREFIX: &str = "faceofmind.v1.";
/// The `type` of [`Event::UserDeleted`].
pub(super) const FAREWELL: &str = "faceofmind.v1.user.deleted";
const SPECVERSION: &str = "1.0";
const SOURCE: &str = "/faceofmind/user-api";
const DATA_FORM: &str = "application/json";

/// Everything there is to tell of; it grows here and nowhere else. The word behind `rename` is the event's `type`, the fields are its
/// `data`.
///
/// An event holds ids, words of ours and times, never what a person wrote: it is `Copy`, so no `String` fits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// Somebody gave an address for the first time; nobody has proven it yet.
    #[serde(rename = "faceofmind.v1.user.registered")]
    UserRegistered {
        /// The new user.
        user_id: UserId,
    },
    /// The address is proven.
    #[serde(rename = "faceofmind.v1.user.verified")]
    UserVerified {
        /// Whose.
        user_id: UserId,
    },
    /// Names, settings or the role were changed; the role is told.
    #[serde(rename = "faceofmind.v1.user.updated")]
    UserUpdated {
        /// Whose.
        user_id: UserId,
        /// The role from now on.
        role: Role,
    },
    /// The user may log in from now on, or may not.
    #[serde(rename = "faceofmind.v1.user.status_changed")]
    UserStatusChanged {
        /// Whose.
        user_id: UserId,
        /// The status from now on.
        status: Status,
    },
    /// The password is another.
    #[serde(rename = "faceofmind.v1.user.password_changed")]
    UserPasswordChanged {
        /// Whose.
        user_id: UserId,
    },
    /// The address is another, and proven.
    #[serde(rename = "faceofmind.v1.user.email_changed")]
    UserEmailChanged {
        /// Whose.
        user_id: UserId,
    },
    /// The user is gone, and all that was theirs; siblings forget them likewise.
    #[serde(rename = "faceofmind.v1.user.deleted")]
    UserDeleted {
        /// Who.
        user_id: UserId,
    },
    /// A session was opened.
    #[serde(rename = "faceofmind.v1.session.started")]
    SessionStarted {
        /// Whose.
        user_id: UserId,
        /// Which.
        session_id: SessionId,
        /// When.
        start_time: Timestamp,
    },
    /// A session was ended.
    #[serde(rename = "faceofmind.v1.session.ended")]
    SessionEnded {
        /// Whose.
        user_id: UserId,
        /// Which.
        session_id: SessionId,
        /// When.
        end_time: Timestamp,
    },
    /// A session is gone, and all that was recorded in it.
    #[serde(rename = "faceofmind.v1.session.deleted")]
    SessionDeleted {
        /// Whose.
        user_id: UserId,
        /// Which.
        session_id: SessionId,
    },
    /// An emotion was detected.
    #[serde(rename = "faceofmind.v1.emotion.detected")]
    EmotionDetected {
        /// Whose.
        user_id: UserId,
        /// In which session.
        session_id: SessionId,
        /// Which detection.
        detection_id: DetectionId,
        /// What it was, as far as it is known.
        emotion: Label,
        /// When it was felt.
        timestamp: Timestamp,
    },
    /// What a person said speaks of suicide or self-harm. Not what they said.
    #[serde(rename = "faceofmind.v1.emotion.crisis")]
    EmotionCrisis {
        /// Who.
        user_id: UserId,
        /// In which session.
        session_id: SessionId,
        /// With which detection.
        detection_id: DetectionId,
        /// When it was said.
        timestamp: Timestamp,
    },
    /// A session was rated.
    #[serde(rename = "faceofmind.v1.feedback.submitted")]
    FeedbackSubmitted {
        /// By whom.
        user_id: UserId,
        /// Which session.
        session_id: SessionId,
        /// The rating with its comment.
        feedback_id: FeedbackId,
    },
    /// Something was posted.
    #[serde(rename = "faceofmind.v1.community.post_created")]
    PostCreated {
        /// By whom.
        user_id: UserId,
        /// Which post.
        post_id: PostId,
    },
    /// A post was commented on.
    #[serde(rename = "faceofmind.v1.community.comment_created")]
    CommentCreated {
        /// By whom.
        user_id: UserId,
        /// Which post.
        post_id: PostId,
        /// Which comment.
        comment_id: CommentId,
    },
    /// The time has come that a person wanted to be reminded at.
    #[serde(rename = "faceofmind.v1.reminder.due")]
    ReminderDue {
        /// Whom.
        user_id: UserId,
        /// Of what.
        reminder_id: ReminderId,
        /// Since when.
        due_at: Timestamp,
    },
}

impl Event {
    /// Whom it is about.
    pub const fn user_id(&self) -> UserId {
        match *self {
            Self::UserRegistered { user_id }
            | Self::UserVerified { user_id }
            | Self::UserUpdated { user_id, .. }
            | Self::UserStatusChanged { user_id, .. }
            | Self::UserPasswordChanged { user_id }
            | Self::UserEmailChanged { user_id }
            | Self::UserDeleted { user_id }
            | Self::SessionStarted { user_id, .. }
            | Self::SessionEnded { user_id, .. }
            | Self::SessionDeleted { user_id, .. }
            | Self::EmotionDetected { user_id, .. }
            | Self::EmotionCrisis { user_id, .. }
            | Self::FeedbackSubmitted { user_id, .. }
            | Self::PostCreated { user_id, .. }
            | Self::CommentCreated { user_id, .. }
            | Self::ReminderDue { user_id, .. } => user_id,
        }
    }

    /// `<aggregate>/<id>`: whose events stay in order.
    pub fn aggregate(&self) -> String {
        match self {
            Self::SessionStarted { session_id, .. }
            | Self::SessionEnded { session_id, .. }
            | Self::SessionDeleted { session_id, .. }
            | Self::EmotionDetected { session_id, .. }
            | Self::EmotionCrisis { session_id, .. }
            | Self::FeedbackSubmitted { session_id, .. } => format!("session/{session_id}"),
            Self::PostCreated { post_id, .. } | Self::CommentCreated { post_id, .. } => format!("post/{post_id}"),
            Self::ReminderDue { reminder_id, .. } => format!("reminder/{reminder_id}"),
            _ => format!("user/{}", self.user_id()),
        }
    }

    /// The event as it will be published: dated, named, and with the word who caused it.
    pub fn seal(self, origin: &Origin, now: Timestamp, rng: &Rng) -> CloudEvent {
        let id = rng.uuid_v7(now);
        let aggregate = self.aggregate();
        let envelope = Envelope::new(id, &aggregate, now, origin, self);
        let envelope = serde_json::to_string(&envelope).expect("ids, words and times are JSON");
        CloudEvent { id, user_id: self.user_id(), recorded_at: now, envelope, aggregate }
    }
}

/// The attributes of CloudEvents 1.0 §3, then our extensions.
#[derive(Serialize, JsonSchema)]
pub(super) struct Envelope<'a> {
    /// The version of CloudEvents.
    #[schemars(extend("const" = SPECVERSION))]
    specversion: &'static str,
    /// The event's own, a UUID version 7. Whoever has dealt with an id before has dealt with this event.
    id: Uuid,
    /// Who tells.
    #[schemars(extend("const" = SOURCE))]
    source: &'static str,
    /// `<aggregate>/<id>`: what changed. The events of one subject come in the order in which they happened.
    #[schemars(extend("pattern" = "^(user|session|post|reminder)/[0-9]+$"))]
    subject: &'a str,
    /// When it was recorded, in the transaction of the change.
    time: Timestamp,
    /// The form of `data`.
    #[schemars(extend("const" = DATA_FORM))]
    datacontenttype: &'static str,
    #[serde(flatten)]
    origin: &'a Origin,
    #[serde(flatten)]
    event: Event,
}

impl<'a> Envelope<'a> {
    pub(super) fn new(id: Uuid, subject: &'a str, time: Timestamp, origin: &'a Origin, event: Event) -> Self {
        let (specversion, source, datacontenttype) = (SPECVERSION, SOURCE, DATA_FORM);
        Self { specversion, id, source, subject, time, datacontenttype, origin, event }
    }
}

/// An event that is ready to be recorded. Made by [`Event::seal`] alone, so nothing else gets into an envelope.
#[derive(Clone, Debug)]
pub struct CloudEvent {
    pub(super) id: Uuid,
    pub(super) aggregate: String,
    pub(super) user_id: UserId,
    pub(super) envelope: String,
    pub(super) recorded_at: Timestamp,
}

impl CloudEvent {
    /// The event's id, a UUID version 7; readers know by it what they have seen.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The CloudEvents JSON.
    pub fn envelope(&self) -> &str {
        &self.envelope
    }
}

/// An event that was published, as the in-process bus carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedEvent {
    /// Its place in the order of publishing; strictly increasing, with gaps. Streams resume by it.
    pub position: i64,
    /// The NATS subject: `faceofmind.v1.<aggregate>.<what>.<user_id>`.
    pub subject: String,
    /// Whom it is about.
    pub user_id: UserId,
    /// The CloudEvents JSON.
    pub envelope: String,
}

impl PublishedEvent {
    /// The CloudEvents `type`: `faceofmind.v1.<aggregate>.<what>`.
    pub fn kind(&self) -> &str {
        self.subject.rsplit_once('.').map_or(self.subject.as_str(), |(kind, _)| kind)
    }
}

/// The NATS subject of an envelope, or `None` when it is no envelope of ours.
pub(super) fn subject_of(envelope: &str, user_id: UserId) -> Option<String> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
    }
    let head: Head<'_> = serde_json::from_str(envelope).ok()?;
    Some(format!("{}.{user_id}", head.kind))
}

/// Every NATS subject of what is told of a user.
pub(super) fn subjects_of(user_id: UserId) -> String {
    format!("{PREFIX}*.*.{user_id}")
}

#[cfg(test)]
mod tests;
