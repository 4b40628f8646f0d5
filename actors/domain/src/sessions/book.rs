//! The sessions that some changes concern, each as it is after those that were decided so far. No I/O: who owns the book holds the
//! sessions' locks, so what stands in it is so.

use std::collections::{HashMap, HashSet};

use faceofmind_base::Timestamp;

use super::session::{Session, SessionError, SessionId};
use faceofmind_model::user::UserId;

/// Sessions by their keys.
pub(super) struct Book {
    sessions: HashMap<SessionId, Session>,
    rated: HashSet<SessionId>,
}

impl Book {
    /// `rated` are those of them that have their feedback.
    pub(super) fn new(sessions: Vec<Session>, rated: Vec<SessionId>) -> Self {
        let sessions = sessions.into_iter().map(|session| (session.id, session)).collect();
        Self { sessions, rated: rated.into_iter().collect() }
    }

    /// Into a session that has ended comes only what was felt before: a phone may have been out of reach until now.
    pub(super) fn take_in(&mut self, user: UserId, id: SessionId, latest: Timestamp) -> Result<(), SessionError> {
        match self.of(user, id)?.end_time {
            Some(end) if latest > end => Err(SessionError::Ended),
            _ => Ok(()),
        }
    }

    /// The session from now on, and whether it was open until now.
    pub(super) fn end(&mut self, user: UserId, id: SessionId, now: Timestamp) -> Result<(Session, bool), SessionError> {
        let session = self.of(user, id)?;
        let was_open = session.end_time.is_none();
        session.end_time.get_or_insert(now);
        Ok((*session, was_open))
    }

    pub(super) fn rate(&mut self, user: UserId, id: SessionId) -> Result<(), SessionError> {
        if self.of(user, id)?.end_time.is_none() {
            return Err(SessionError::NotEnded);
        }
        if self.rated.insert(id) { Ok(()) } else { Err(SessionError::AlreadyRated) }
    }

    /// The session as it was.
    pub(super) fn delete(&mut self, user: UserId, id: SessionId) -> Result<Session, SessionError> {
        let session = *self.of(user, id)?;
        self.sessions.remove(&id);
        Ok(session)
    }

    fn of(&mut self, user: UserId, id: SessionId) -> Result<&mut Session, SessionError> {
        self.sessions.get_mut(&id).filter(|session| session.user_id == user).ok_or(SessionError::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: UserId = UserId(1);
    const BOB: UserId = UserId(2);
    const OPEN: SessionId = SessionId(1);
    const ENDED: SessionId = SessionId(2);

    fn at(moment: i64) -> Timestamp {
        Timestamp::from_micros(moment)
    }

    fn book() -> Book {
        let session = |id, end_time| Session { id, user_id: ADA, start_time: at(0), end_time };
        Book::new(vec![session(OPEN, None), session(ENDED, Some(at(5)))], vec![])
    }

    #[test]
    fn another_users_session_is_not_found_whatever_is_asked() {
        let mut book = book();
        assert!(matches!(book.take_in(BOB, OPEN, at(1)), Err(SessionError::NotFound)));
        assert!(matches!(book.end(BOB, OPEN, at(1)), Err(SessionError::NotFound)));
        assert!(matches!(book.rate(BOB, ENDED), Err(SessionError::NotFound)));
        assert!(matches!(book.delete(BOB, OPEN), Err(SessionError::NotFound)));
        assert!(matches!(book.delete(ADA, SessionId(9)), Err(SessionError::NotFound)));
    }

    #[test]
    fn into_an_ended_session_comes_only_what_was_felt_before() {
        let mut book = book();
        book.take_in(ADA, OPEN, at(99)).expect("open");
        book.take_in(ADA, ENDED, at(5)).expect("felt in time");
        assert!(matches!(book.take_in(ADA, ENDED, at(6)), Err(SessionError::Ended)));
    }

    #[test]
    fn a_session_ends_once() {
        let mut book = book();
        let (ended, was_open) = book.end(ADA, OPEN, at(7)).expect("there");
        assert_eq!((ended.end_time, was_open), (Some(at(7)), true));
        assert_eq!(book.end(ADA, OPEN, at(8)).expect("there"), (ended, false));
    }

    #[test]
    fn feedback_comes_after_the_end_and_once() {
        let mut book = book();
        assert!(matches!(book.rate(ADA, OPEN), Err(SessionError::NotEnded)));
        book.end(ADA, OPEN, at(7)).expect("there");
        book.rate(ADA, OPEN).expect("has ended");
        assert!(matches!(book.rate(ADA, OPEN), Err(SessionError::AlreadyRated)));
    }

    #[test]
    fn what_is_deleted_is_gone() {
        let mut book = book();
        assert_eq!(book.delete(ADA, ENDED).expect("there").end_time, Some(at(5)));
        assert!(matches!(book.rate(ADA, ENDED), Err(SessionError::NotFound)));
    }
}
