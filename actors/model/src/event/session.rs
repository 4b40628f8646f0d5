//! Events about a session and what is recorded in it.

#![expect(missing_docs, reason = "a field that is an id is documented by its type")]

use faceofmind_base::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::DomainEvent;
use crate::{DetectionId, FeedbackId, SessionId, UserId, emotion::KnownEmotion};

/// What happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum SessionEvent {
    /// A session was started.
    #[serde(rename = "faceofmind.v1.session.started")]
    Started {
        /// The session's user.
        user_id: UserId,
        session_id: SessionId,
        /// When it was started.
        start_time: Timestamp,
    },
    /// A session was ended.
    #[serde(rename = "faceofmind.v1.session.ended")]
    Ended {
        /// The session's user.
        user_id: UserId,
        session_id: SessionId,
        /// When it was ended.
        end_time: Timestamp,
    },
    /// A session was deleted with all that was recorded in it.
    #[serde(rename = "faceofmind.v1.session.deleted")]
    Deleted {
        /// The session's user.
        user_id: UserId,
        session_id: SessionId,
    },
    /// An emotion was detected.
    #[serde(rename = "faceofmind.v1.emotion.detected")]
    EmotionDetected {
        /// The session's user.
        user_id: UserId,
        session_id: SessionId,
        detection_id: DetectionId,
        /// The emotion's name, if it is a known one.
        emotion: KnownEmotion,
        /// When it was detected.
        timestamp: Timestamp,
    },
    /// The user's words mention suicide or self-harm. The event does not hold the words.
    #[serde(rename = "faceofmind.v1.emotion.crisis")]
    EmotionCrisis {
        /// The session's user.
        user_id: UserId,
        session_id: SessionId,
        detection_id: DetectionId,
        /// When it was detected.
        timestamp: Timestamp,
    },
    /// The user rated a session.
    #[serde(rename = "faceofmind.v1.feedback.submitted")]
    FeedbackSubmitted {
        /// The session's user.
        user_id: UserId,
        session_id: SessionId,
        feedback_id: FeedbackId,
    },
}

impl SessionEvent {
    const fn ids(&self) -> (UserId, SessionId) {
        match *self {
            Self::Started { user_id, session_id, .. }
            | Self::Ended { user_id, session_id, .. }
            | Self::Deleted { user_id, session_id }
            | Self::EmotionDetected { user_id, session_id, .. }
            | Self::EmotionCrisis { user_id, session_id, .. }
            | Self::FeedbackSubmitted { user_id, session_id, .. } => (user_id, session_id),
        }
    }
}

impl DomainEvent for SessionEvent {
    fn user_id(&self) -> UserId {
        self.ids().0
    }

    fn aggregate(&self) -> String {
        format!("session/{}", self.ids().1)
    }
}
