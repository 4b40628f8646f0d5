//! What a change comes to: decided on the book, put into the plan, and concluded once that is written. No I/O.

use faceofmind_base::Timestamp;
use faceofmind_model::event::SessionEvent;

use super::{
    book::Book,
    desk::{Change, Write},
    detection::{Comfort, Detected, Detection, Processed},
    feedback::{Feedback, Rating},
    made::Made,
    plan::{Plan, Written},
    session::{DetectionId, Session, SessionError, SessionId},
};
use crate::suggestions::Advice;
use faceofmind_model::emotion;
use faceofmind_model::emotion::KnownEmotion;
use faceofmind_model::user::UserId;

/// A change that will be made. Numbers are those of the [`Plan`].
pub(super) enum Decision<'a> {
    Start(usize),
    Detect { session: SessionId, first: usize, detections: &'a [Detection], crisis: Option<&'a Comfort> },
    Process { session: SessionId, number: usize, detection: &'a Detection, advice: &'a Advice, ended: Option<Session> },
    Rate { session: SessionId, number: usize, rating: &'a Rating },
    End { session: Session, was_open: bool },
    Delete(Session),
}

impl<'a> Decision<'a> {
    /// Decides, and plans what is to be written.
    pub(super) fn of(
        write: &'a Write,
        now: Timestamp,
        book: &mut Book,
        plan: &mut Plan<'a>,
    ) -> Result<Self, SessionError> {
        let user = write.user;
        match &write.change {
            Change::Start => Ok(Self::Start(plan.next_start())),
            Change::Detect { session, detections, crisis } => {
                let latest = detections.iter().map(|detection| detection.timestamp(now)).max().unwrap_or(now);
                book.take_in(user, *session, latest)?;
                let first = plan.next_detection();
                detections.iter().for_each(|one| plan.detect(*session, one.timestamp(now), one, None));
                Ok(Self::Detect { session: *session, first, detections, crisis: crisis.as_ref() })
            }
            Change::Process { session, detection, advice } => {
                let (ended, was_open) = book.end(user, *session, now)?;
                let number = plan.next_detection();
                plan.detect(*session, now, detection, Some(advice));
                let ended = was_open.then(|| plan.end(ended));
                Ok(Self::Process { session: *session, number, detection, advice, ended })
            }
            Change::Rate(session, rating) => {
                book.rate(user, *session)?;
                Ok(Self::Rate { session: *session, number: plan.rate(*session, rating), rating })
            }
            Change::End(id) => {
                let (session, was_open) = book.end(user, *id, now)?;
                let session = if was_open { plan.end(session) } else { session };
                Ok(Self::End { session, was_open })
            }
            Change::Delete(id) => {
                let session = book.delete(user, *id)?;
                plan.delete((*id, user));
                Ok(Self::Delete(session))
            }
        }
    }

    /// What was made of it, and what there is to tell.
    pub(super) fn conclude(self, user_id: UserId, written: &Written, now: Timestamp) -> (Made, Vec<SessionEvent>) {
        match self {
            Self::Start(number) => {
                let session = written.sessions[number];
                let Session { id: session_id, start_time, .. } = session;
                (session.into(), vec![SessionEvent::Started { user_id, session_id, start_time }])
            }
            Self::Detect { session, first, detections, crisis } => {
                let ids = written.detections[first..first + detections.len()].to_vec();
                let told =
                    |(one, &id): (&Detection, &DetectionId)| detected(user_id, session, id, one, one.is_crisis(), now);
                let events = detections.iter().zip(&ids).flat_map(told).collect();
                (Detected::new(ids, crisis.cloned()).into(), events)
            }
            Self::Process { session, number, detection, advice, ended } => {
                let is_crisis = advice.crisis || detection.is_crisis();
                let id = written.detections[number];
                let events = detected(user_id, session, id, detection, is_crisis, now).chain(ended.and_then(end_told));
                (processed(session, detection, advice).into(), events.collect())
            }
            Self::Rate { session, number, rating } => {
                let feedback_id = written.ratings[number];
                let Rating { comment, rating } = rating;
                let made = Feedback { id: feedback_id, session_id: session, comment: comment.clone(), rating: *rating };
                (made.into(), vec![SessionEvent::FeedbackSubmitted { user_id, session_id: session, feedback_id }])
            }
            Self::End { session, was_open } => {
                let event = if was_open { end_told(session) } else { None };
                (session.into(), event.into_iter().collect())
            }
            Self::Delete(session) => (session.into(), vec![SessionEvent::Deleted { user_id, session_id: session.id }]),
        }
    }
}

fn detected(
    user_id: UserId,
    session_id: SessionId,
    detection_id: DetectionId,
    detection: &Detection,
    is_crisis: bool,
    now: Timestamp,
) -> impl Iterator<Item = SessionEvent> + use<> {
    let (emotion, timestamp) = (KnownEmotion::of(detection.emotion()), detection.timestamp(now));
    let crisis = SessionEvent::EmotionCrisis { user_id, session_id, detection_id, timestamp };
    let detected = SessionEvent::EmotionDetected { user_id, session_id, detection_id, emotion, timestamp };
    [detected].into_iter().chain(is_crisis.then_some(crisis))
}

fn end_told(session: Session) -> Option<SessionEvent> {
    let Session { id: session_id, user_id, end_time, .. } = session;
    Some(SessionEvent::Ended { user_id, session_id, end_time: end_time? })
}

fn processed(session_id: SessionId, detection: &Detection, advice: &Advice) -> Processed {
    Processed {
        session_id,
        emotion: detection.emotion().to_owned(),
        voice_content: detection.voice_content().to_owned(),
        suggestions: advice.lines.clone(),
        emotion_color: emotion::colour(detection.emotion()),
        urls: advice.urls.clone(),
    }
}
