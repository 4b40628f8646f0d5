//! What a command may do, and what follows: rows to write, events, and the response. Pure.

use std::collections::{HashMap, HashSet};

use faceofmind_base::Timestamp;
use faceofmind_model::{
    UserId,
    emotion::{self, KnownEmotion},
    event::SessionEvent,
};
use faceofmind_platform::idempotency::StoredResponse;

use super::{
    commands::{Command, PendingCommand},
    detection::{Detection, DetectionsRecorded, EmotionProcessed},
    feedback::{Feedback, Rating},
    messages::SessionError,
    session::{DetectionId, Session, SessionId},
    write_set::{InsertedRows, PendingDetection, WriteSet},
};
use crate::suggestions::Advice;

/// The sessions that a batch has locked, each as the commands decided so far leave it.
pub(super) struct LockedSessions {
    sessions: HashMap<SessionId, Session>,
    rated: HashSet<SessionId>,
}

impl LockedSessions {
    /// `rated` are those of the sessions that have feedback.
    pub(super) fn new(sessions: Vec<Session>, rated: Vec<SessionId>) -> Self {
        let sessions = sessions.into_iter().map(|session| (session.id, session)).collect();
        Self { sessions, rated: rated.into_iter().collect() }
    }

    /// An ended session accepts detections from before its end, because a phone may have been offline until now.
    fn ensure_accepts(&mut self, user: UserId, id: SessionId, latest: Timestamp) -> Result<(), SessionError> {
        match self.get_owned(user, id)?.end_time {
            Some(end) if latest > end => Err(SessionError::Ended),
            _ => Ok(()),
        }
    }

    /// Returns the ended session, and whether it was open until now.
    fn end(&mut self, user: UserId, id: SessionId, now: Timestamp) -> Result<(Session, bool), SessionError> {
        let session = self.get_owned(user, id)?;
        let was_open = session.end_time.is_none();
        session.end_time.get_or_insert(now);
        Ok((*session, was_open))
    }

    fn rate(&mut self, user: UserId, id: SessionId) -> Result<(), SessionError> {
        if self.get_owned(user, id)?.end_time.is_none() {
            return Err(SessionError::NotEnded);
        }
        if self.rated.insert(id) { Ok(()) } else { Err(SessionError::AlreadyRated) }
    }

    /// Returns the session as it was.
    fn delete(&mut self, user: UserId, id: SessionId) -> Result<Session, SessionError> {
        let session = *self.get_owned(user, id)?;
        self.sessions.remove(&id);
        Ok(session)
    }

    fn get_owned(&mut self, user: UserId, id: SessionId) -> Result<&mut Session, SessionError> {
        self.sessions.get_mut(&id).filter(|session| session.user_id == user).ok_or(SessionError::NotFound)
    }
}

/// Makes the response to a command and its events, once its rows have ids.
pub(super) type BuildResponse<'a> = Box<dyn FnOnce(&InsertedRows) -> (StoredResponse, Vec<SessionEvent>) + Send + 'a>;

/// Decides a command, and adds the rows that it writes to `writes`.
pub(super) fn decide<'a>(
    pending: &'a PendingCommand,
    now: Timestamp,
    sessions: &mut LockedSessions,
    writes: &mut WriteSet<'a>,
) -> Result<BuildResponse<'a>, SessionError> {
    let user_id = pending.context.user;
    Ok(match pending.command {
        Command::Start(respond) => {
            let index = writes.reserve_start();
            Box::new(move |ids| {
                let session = ids.sessions[index];
                let Session { id: session_id, start_time, .. } = session;
                (respond(session), vec![SessionEvent::Started { user_id, session_id, start_time }])
            })
        }
        Command::Record { session, ref detections, ref crisis, respond } => {
            let latest = detections.iter().map(|detection| detection.timestamp(now)).max().unwrap_or(now);
            sessions.ensure_accepts(user_id, session, latest)?;
            let first = writes.detections.len();
            writes.detections.extend(detections.iter().map(|detection| PendingDetection {
                session,
                timestamp: detection.timestamp(now),
                detection,
                advice: None,
            }));
            Box::new(move |ids| {
                let ids = ids.detections[first..first + detections.len()].to_vec();
                let events = |(one, &id): (&Detection, &DetectionId)| {
                    detection_events((user_id, session, id), one, one.is_crisis(), now)
                };
                let events = detections.iter().zip(&ids).flat_map(events).collect();
                (respond(DetectionsRecorded::new(ids, crisis.clone())), events)
            })
        }
        Command::Process { session, ref detection, ref advice, respond } => {
            let (ended, was_open) = sessions.end(user_id, session, now)?;
            let ended = was_open.then_some(ended);
            let index = writes.detections.len();
            writes.detections.push(PendingDetection { session, timestamp: now, detection, advice: Some(advice) });
            writes.ends.extend(ended.map(|session| session.id));
            Box::new(move |ids| {
                let is_crisis = advice.crisis || detection.is_crisis();
                let events = detection_events((user_id, session, ids.detections[index]), detection, is_crisis, now);
                let events = events.chain(ended.and_then(session_ended_event)).collect();
                (respond(emotion_processed(session, detection, advice)), events)
            })
        }
        Command::Rate { session: session_id, ref rating, respond } => {
            sessions.rate(user_id, session_id)?;
            let index = writes.ratings.len();
            writes.ratings.push((session_id, rating));
            Box::new(move |ids| {
                let (feedback_id, Rating { comment, rating }) = (ids.feedback[index], rating);
                let feedback = Feedback { id: feedback_id, session_id, comment: comment.clone(), rating: *rating };
                (respond(feedback), vec![SessionEvent::FeedbackSubmitted { user_id, session_id, feedback_id }])
            })
        }
        Command::End(id, respond) => {
            let (session, was_open) = sessions.end(user_id, id, now)?;
            let ended = was_open.then_some(session);
            writes.ends.extend(ended.map(|session| session.id));
            Box::new(move |_| (respond(session), ended.and_then(session_ended_event).into_iter().collect()))
        }
        Command::Delete(session_id, respond) => {
            let session = sessions.delete(user_id, session_id)?;
            writes.deletes.push((session_id, user_id));
            Box::new(move |_| (respond(session), vec![SessionEvent::Deleted { user_id, session_id }]))
        }
    })
}

fn detection_events(
    (user_id, session_id, detection_id): (UserId, SessionId, DetectionId),
    detection: &Detection,
    is_crisis: bool,
    now: Timestamp,
) -> impl Iterator<Item = SessionEvent> + use<> {
    let (emotion, timestamp) = (KnownEmotion::of(detection.emotion()), detection.timestamp(now));
    let crisis = SessionEvent::EmotionCrisis { user_id, session_id, detection_id, timestamp };
    let detected = SessionEvent::EmotionDetected { user_id, session_id, detection_id, emotion, timestamp };
    [detected].into_iter().chain(is_crisis.then_some(crisis))
}

fn session_ended_event(session: Session) -> Option<SessionEvent> {
    let Session { id: session_id, user_id, end_time, .. } = session;
    Some(SessionEvent::Ended { user_id, session_id, end_time: end_time? })
}

fn emotion_processed(session_id: SessionId, detection: &Detection, advice: &Advice) -> EmotionProcessed {
    EmotionProcessed {
        session_id,
        emotion: detection.emotion().to_owned(),
        voice_content: detection.voice_content().to_owned(),
        suggestions: advice.lines.clone(),
        emotion_color: emotion::colour(detection.emotion()),
        urls: advice.urls.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: UserId = UserId(1);
    const BOB: UserId = UserId(2);
    const OPEN: SessionId = SessionId(1);
    const ENDED: SessionId = SessionId(2);

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn sessions() -> LockedSessions {
        let session = |id, end_time| Session { id, user_id: ADA, start_time: at(0), end_time };
        LockedSessions::new(vec![session(OPEN, None), session(ENDED, Some(at(5)))], vec![])
    }

    #[test]
    fn another_users_session_is_not_found_by_any_command() {
        let mut sessions = sessions();
        assert!(matches!(sessions.ensure_accepts(BOB, OPEN, at(1)), Err(SessionError::NotFound)));
        assert!(matches!(sessions.end(BOB, OPEN, at(1)), Err(SessionError::NotFound)));
        assert!(matches!(sessions.rate(BOB, ENDED), Err(SessionError::NotFound)));
        assert!(matches!(sessions.delete(BOB, OPEN), Err(SessionError::NotFound)));
        assert!(matches!(sessions.delete(ADA, SessionId(9)), Err(SessionError::NotFound)));
    }

    #[test]
    fn an_ended_session_accepts_only_detections_from_before_its_end() {
        let mut sessions = sessions();
        sessions.ensure_accepts(ADA, OPEN, at(99)).expect("open");
        sessions.ensure_accepts(ADA, ENDED, at(5)).expect("detected in time");
        assert!(matches!(sessions.ensure_accepts(ADA, ENDED, at(6)), Err(SessionError::Ended)));
    }

    #[test]
    fn a_session_ends_once() {
        let mut sessions = sessions();
        let (ended, was_open) = sessions.end(ADA, OPEN, at(7)).expect("exists");
        assert_eq!((ended.end_time, was_open), (Some(at(7)), true));
        assert_eq!(sessions.end(ADA, OPEN, at(8)).expect("exists"), (ended, false));
    }

    #[test]
    fn feedback_comes_after_the_end_and_once() {
        let mut sessions = sessions();
        assert!(matches!(sessions.rate(ADA, OPEN), Err(SessionError::NotEnded)));
        sessions.end(ADA, OPEN, at(7)).expect("exists");
        sessions.rate(ADA, OPEN).expect("has ended");
        assert!(matches!(sessions.rate(ADA, OPEN), Err(SessionError::AlreadyRated)));
    }

    #[test]
    fn a_deleted_session_is_not_found_by_later_commands() {
        let mut sessions = sessions();
        assert_eq!(sessions.delete(ADA, ENDED).expect("exists").end_time, Some(at(5)));
        assert!(matches!(sessions.rate(ADA, ENDED), Err(SessionError::NotFound)));
    }
}
