//! The rows that a batch writes, table by table, so that one statement serves any number of commands.

use faceofmind_base::Timestamp;
use faceofmind_db::{StoreError, Tx};
use faceofmind_model::UserId;
use faceofmind_platform::encryption::Keyring;

use super::{
    detection::{Detection, encode_lines, encode_urls, voice_aad},
    feedback::Rating,
    messages::SessionError,
    session::{DetectionId, FeedbackId, Session, SessionId},
    store::{
        self, OwnedSession,
        detections::{FACES, VOICES},
    },
};
use crate::suggestions::Advice;

/// Rows to write. [`InsertedRows`] holds their ids by the same indices.
#[derive(Default)]
pub(super) struct WriteSet<'a> {
    starts: Vec<UserId>,
    reserved_starts: usize,
    pub(super) detections: Vec<PendingDetection<'a>>,
    pub(super) ends: Vec<SessionId>,
    pub(super) ratings: Vec<(SessionId, &'a Rating)>,
    pub(super) deletes: Vec<OwnedSession>,
}

pub(super) struct PendingDetection<'a> {
    pub(super) session: SessionId,
    pub(super) timestamp: Timestamp,
    pub(super) detection: &'a Detection,
    pub(super) advice: Option<&'a Advice>,
}

/// The rows as they were inserted, by their indices.
pub(super) struct InsertedRows {
    pub(super) sessions: Vec<Session>,
    pub(super) detections: Vec<DetectionId>,
    pub(super) feedback: Vec<FeedbackId>,
}

impl<'a> WriteSet<'a> {
    /// Returns a set that starts a session for each of these users, in this order.
    pub(super) fn with_starts(starts: Vec<UserId>) -> Self {
        Self { starts, ..Self::default() }
    }

    /// Returns the index of the next start.
    pub(super) fn reserve_start(&mut self) -> usize {
        self.reserved_starts += 1;
        self.reserved_starts - 1
    }

    /// Inserts the new sessions. They come back by user. A user's new sessions are alike, so they go to the starts in the order of their
    /// ids.
    ///
    /// *Requires* that no session is locked yet: an erasure locks the user and then the user's sessions, and a start reads the user.
    pub(super) async fn insert_sessions(&self, tx: &mut Tx, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        if self.starts.is_empty() {
            return Ok(Vec::new());
        }
        let mut indices: Vec<usize> = (0..self.starts.len()).collect();
        indices.sort_by_key(|&index| self.starts[index]);
        let started = store::start(tx, &self.starts, now).await?;
        let mut indexed: Vec<_> = indices.into_iter().zip(started).collect();
        indexed.sort_unstable_by_key(|(index, _)| *index);
        Ok(indexed.into_iter().map(|(_, session)| session).collect())
    }

    pub(super) async fn insert_detections(&self, tx: &mut Tx) -> Result<Vec<DetectionId>, StoreError> {
        let rows: Vec<_> = self.detections.iter().map(|pending| (pending.session, pending.timestamp)).collect();
        store::detections::insert(tx, &rows).await
    }

    /// Writes everything but new sessions and detections, and returns the ids of the feedback. Whatever the order of the commands, the tables
    /// are written in the order of a session's life: detections, end, feedback, deletion.
    pub(super) async fn write_rest(
        &self,
        tx: &mut Tx,
        now: Timestamp,
        keyring: &Keyring,
        detections: &[DetectionId],
    ) -> Result<Vec<FeedbackId>, SessionError> {
        self.insert_children(tx, keyring, detections).await?;
        if !self.ends.is_empty() {
            store::end(tx, &self.ends, now).await?;
        }
        let feedback = self.insert_feedback(tx).await?;
        if !self.deletes.is_empty() {
            store::delete(tx, &self.deletes).await?;
        }
        Ok(feedback)
    }

    /// Inserts the rows that belong to the detections.
    async fn insert_children(&self, tx: &mut Tx, keyring: &Keyring, ids: &[DetectionId]) -> Result<(), SessionError> {
        let faces: Vec<_> = self.zip_ids(ids).map(|(id, pending)| (id, pending.detection.emotion())).collect();
        store::detections::insert_texts(tx, &FACES, &faces).await?;
        let voices = self.encrypted_voices(keyring, ids)?;
        let voices: Vec<_> = voices.iter().map(|(id, encrypted)| (*id, encrypted.as_str())).collect();
        store::detections::insert_texts(tx, &VOICES, &voices).await?;
        let confidence = |(id, pending): (_, &PendingDetection<'_>)| Some((id, pending.detection.confidence()?));
        store::detections::details(tx, &self.zip_ids(ids).filter_map(confidence).collect::<Vec<_>>()).await?;
        let advised = |(id, pending): (_, &PendingDetection<'_>)| {
            let advice = pending.advice?;
            Some((id, encode_lines(advice), encode_urls(advice)))
        };
        let advised: Vec<_> = self.zip_ids(ids).filter_map(advised).collect();
        Ok(store::detections::suggestions(tx, &advised).await?)
    }

    fn encrypted_voices(
        &self,
        keyring: &Keyring,
        ids: &[DetectionId],
    ) -> Result<Vec<(DetectionId, String)>, StoreError> {
        let voices = self.zip_ids(ids).map(|(id, pending)| (id, pending.detection.voice_content()));
        voices
            .filter(|(_, content)| !content.is_empty())
            .map(|(id, content)| Ok((id, keyring.encrypt(&voice_aad(id), content)?)))
            .collect()
    }

    async fn insert_feedback(&self, tx: &mut Tx) -> Result<Vec<FeedbackId>, StoreError> {
        if self.ratings.is_empty() {
            return Ok(Vec::new());
        }
        let mut inserted = store::feedback::insert(tx, &self.ratings).await?;
        inserted.sort_unstable();
        let id_of = |&(session, _): &(SessionId, _)| {
            inserted.binary_search_by_key(&session, |(session, _)| *session).ok().map(|at| inserted[at].1)
        };
        self.ratings.iter().map(id_of).collect::<Option<_>>().ok_or(StoreError::Conflict)
    }

    fn zip_ids(&self, ids: &[DetectionId]) -> impl Iterator<Item = (DetectionId, &PendingDetection<'a>)> {
        ids.iter().copied().zip(&self.detections)
    }
}
