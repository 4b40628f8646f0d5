//! Asking the tracker to record what is felt, and what is said of it.

use std::ops::RangeInclusive;

use faceofmind_base::Timestamp;

use super::{
    Message, Read, Sessions,
    desk::Change,
    detection::{Comfort, Detected, Detection, Processed, plausible},
    feedback::{Feedback, Rating},
    session::{SessionError, SessionId},
};
use crate::suggestions::{Advice, Ask};
use faceofmind_model::event::EventContext;
use faceofmind_model::user::UserId;
use faceofmind_platform::idempotency::{Key, Once};

/// Who calls, and whether they may be calling again.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose sessions are meant.
    pub user: UserId,
    /// For the events.
    pub origin: EventContext,
    /// The client's word for this call.
    pub key: Option<Key>,
}

/// To whom it is said what may help.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    /// IANA name of their time zone, which tells whom they can call.
    pub time_zone: Option<String>,
    /// BCP 47 tag of their language.
    pub language: Option<String>,
}

impl Sessions {
    /// When a detection that is sent now may have been felt.
    pub fn plausible(&self) -> RangeInclusive<Timestamp> {
        plausible(self.clock.now())
    }

    /// Records what is felt in a session, all of it or nothing; it stays open. Whoever speaks of suicide or self-harm gets an answer to
    /// that. One that has ended takes in what was felt before.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], also for another user's; [`SessionError::Ended`]; [`SessionError::KeyReused`].
    pub async fn detect(
        &self,
        call: Call,
        session: SessionId,
        detections: Vec<Detection>,
        listener: Listener,
    ) -> Result<Once<Detected>, SessionError> {
        let crisis = match detections.iter().find(|detection| detection.is_crisis()) {
            Some(detection) => Some(Comfort::from(self.advise(session, detection, listener).await)),
            None => None,
        };
        self.make(call, Change::Detect { session, detections, crisis }).await
    }

    /// Records what is felt with what may help, and ends the session; one that has ended keeps its end. Whose session it is, and whether
    /// the call was answered before, is looked at first: for others nobody is asked.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], also for another user's; [`SessionError::KeyReused`].
    pub async fn process(
        &self,
        call: Call,
        session: SessionId,
        detection: Detection,
        listener: Listener,
    ) -> Result<Once<Processed>, SessionError> {
        if let Some(key) = call.key.clone()
            && let Some(answer) = self.address.ask(|reply| Message::Read(Read::Answered(key, reply))).await?
        {
            return Ok(Once::Again(answer));
        }
        self.get(call.user, session).await?;
        let advice = self.advise(session, &detection, listener).await;
        self.make(call, Change::Process { session, detection, advice }).await
    }

    /// Records what is said of a session that has ended.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], also for another user's; [`SessionError::NotEnded`]; [`SessionError::AlreadyRated`];
    /// [`SessionError::KeyReused`].
    pub async fn rate(&self, call: Call, session: SessionId, rating: Rating) -> Result<Once<Feedback>, SessionError> {
        self.make(call, Change::Rate(session, rating)).await
    }

    async fn advise(&self, session: SessionId, detection: &Detection, listener: Listener) -> Advice {
        let Listener { time_zone, language } = listener;
        let emotion = detection.emotion().to_owned();
        let words = Some(detection.voice_content()).filter(|said| !said.is_empty()).map(str::to_owned);
        let seed = session.0.unsigned_abs();
        self.suggestions.advise(Ask { emotion, words, language, time_zone, seed }).await
    }
}
