//! What is to be written: all that was decided, table by table, so that a statement serves any number of changes.

use faceofmind_base::Timestamp;
use faceofmind_db::Tx;
use faceofmind_runtime::legacy::Failure;

use super::{
    detection::{Detection, stored_lines, stored_urls, voice_place},
    feedback::Rating,
    session::{DetectionId, FeedbackId, Session, SessionId},
    store::{self, Asked},
    trap::{Step, Trap},
};
use crate::suggestions::Advice;
use faceofmind_model::user::UserId;
use faceofmind_platform::encryption::Keyring;

/// Rows to be written. What puts one in is told its number, by which it finds what the row became.
#[derive(Default)]
pub(super) struct Plan<'a> {
    starts: Vec<UserId>,
    asked_starts: usize,
    detections: Vec<Planned<'a>>,
    ends: Vec<SessionId>,
    ratings: Vec<(SessionId, &'a Rating)>,
    deletes: Vec<Asked>,
}

struct Planned<'a> {
    session: SessionId,
    timestamp: Timestamp,
    detection: &'a Detection,
    advice: Option<&'a Advice>,
}

/// What became of the rows, by their numbers.
#[derive(Default)]
pub(super) struct Written {
    pub(super) sessions: Vec<Session>,
    pub(super) detections: Vec<DetectionId>,
    pub(super) ratings: Vec<FeedbackId>,
}

impl<'a> Plan<'a> {
    /// A plan that begins with these starts. The numbers are theirs.
    pub(super) fn starting(starts: Vec<UserId>) -> Self {
        Self { starts, ..Self::default() }
    }

    /// The number of the next start that is asked for.
    pub(super) fn next_start(&mut self) -> usize {
        self.asked_starts += 1;
        self.asked_starts - 1
    }

    /// The number that the next detection will have.
    pub(super) fn next_detection(&self) -> usize {
        self.detections.len()
    }

    pub(super) fn detect(
        &mut self,
        session: SessionId,
        timestamp: Timestamp,
        detection: &'a Detection,
        advice: Option<&'a Advice>,
    ) {
        self.detections.push(Planned { session, timestamp, detection, advice });
    }

    /// The session, which is as it will be.
    pub(super) fn end(&mut self, session: Session) -> Session {
        self.ends.push(session.id);
        session
    }

    pub(super) fn rate(&mut self, session: SessionId, rating: &'a Rating) -> usize {
        self.ratings.push((session, rating));
        self.ratings.len() - 1
    }

    pub(super) fn delete(&mut self, asked: Asked) {
        self.deletes.push(asked);
    }

    /// All but the starts. A session only ever goes forward, from its start to its end to its deletion: so may the tables.
    pub(super) async fn write(
        &self,
        tx: &mut Tx,
        now: Timestamp,
        keyring: &Keyring,
        trap: &Trap,
    ) -> Result<Written, Failure> {
        let detections = self.write_detections(tx).await?;
        trap.step(Step::Half);
        self.write_under(tx, keyring, &detections).await?;
        if !self.ends.is_empty() {
            store::end(tx, &self.ends, now).await?;
        }
        let ratings = self.write_ratings(tx).await?;
        if !self.deletes.is_empty() {
            store::delete(tx, &self.deletes).await?;
        }
        Ok(Written { sessions: Vec::new(), detections, ratings })
    }

    /// The new sessions come back by user, but one of a user's is as good as another: in the order of their ids they go to those who
    /// asked, in the order in which they did.
    ///
    /// Before any session is locked: who removes a user locks the user first and then their sessions, and a start looks at the user.
    pub(super) async fn write_starts(&self, tx: &mut Tx, now: Timestamp) -> Result<Vec<Session>, Failure> {
        if self.starts.is_empty() {
            return Ok(Vec::new());
        }
        let mut numbers: Vec<usize> = (0..self.starts.len()).collect();
        numbers.sort_by_key(|&number| self.starts[number]);
        let started = store::start(tx, &self.starts, now).await?;
        let mut numbered: Vec<_> = numbers.into_iter().zip(started).collect();
        numbered.sort_unstable_by_key(|(number, _)| *number);
        Ok(numbered.into_iter().map(|(_, session)| session).collect())
    }

    async fn write_detections(&self, tx: &mut Tx) -> Result<Vec<DetectionId>, Failure> {
        let rows: Vec<_> = self.detections.iter().map(|planned| (planned.session, planned.timestamp)).collect();
        store::detections::insert(tx, &rows).await
    }

    /// What belongs to the detections.
    async fn write_under(&self, tx: &mut Tx, keyring: &Keyring, ids: &[DetectionId]) -> Result<(), Failure> {
        let facial: Vec<_> = self.with(ids).map(|(id, planned)| (id, planned.detection.emotion())).collect();
        store::detections::facial(tx, &facial).await?;
        let voices = self.sealed_voices(keyring, ids)?;
        let voices: Vec<_> = voices.iter().map(|(id, sealed)| (*id, sealed.as_str())).collect();
        store::detections::voice(tx, &voices).await?;
        let sure = |(id, planned): (_, &Planned<'_>)| Some((id, planned.detection.confidence()?));
        store::detections::details(tx, &self.with(ids).filter_map(sure).collect::<Vec<_>>()).await?;
        let advised = |(id, planned): (_, &Planned<'_>)| {
            let advice = planned.advice?;
            Some((id, stored_lines(advice), stored_urls(advice)))
        };
        store::detections::suggestions(tx, &self.with(ids).filter_map(advised).collect::<Vec<_>>()).await
    }

    fn sealed_voices(&self, keyring: &Keyring, ids: &[DetectionId]) -> Result<Vec<(DetectionId, String)>, Failure> {
        let said = self.with(ids).filter(|(_, planned)| !planned.detection.voice_content().is_empty());
        said.map(|(id, planned)| Ok((id, keyring.seal(&voice_place(id), planned.detection.voice_content())?))).collect()
    }

    async fn write_ratings(&self, tx: &mut Tx) -> Result<Vec<FeedbackId>, Failure> {
        if self.ratings.is_empty() {
            return Ok(Vec::new());
        }
        let mut inserted = store::feedback::insert(tx, &self.ratings).await?;
        inserted.sort_unstable();
        let of = |session: SessionId| inserted.binary_search_by_key(&session, |(session, _)| *session);
        let ids = self.ratings.iter().map(|&(session, _)| of(session).ok().map(|at| inserted[at].1));
        ids.collect::<Option<_>>().ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    fn with(&self, ids: &[DetectionId]) -> impl Iterator<Item = (DetectionId, &Planned<'a>)> {
        ids.iter().copied().zip(&self.detections)
    }
}
