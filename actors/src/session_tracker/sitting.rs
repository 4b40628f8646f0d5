//! One transaction over a batch: as few statements as its kinds of change, whatever the number of rows.

use std::collections::HashMap;

use faceofmind_kit::{Failure, Timestamp, Tx};

use super::{
    desk::{Change, Means, Outcome, Write},
    session::{Session, SessionError, SessionId, Started},
    store::{self, Asked},
};
use crate::{
    idempotency::{self, Answer, Claim, Key},
    publisher::{self, CloudEvent, Event},
    user_registry::UserId,
};

/// The kinds of change, in the order in which a round makes them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Start,
    StartOnce,
    End,
    Delete,
}

/// The places in the batch of what is made together, by [`Phase`].
type Round = [Vec<usize>; 4];

/// A transaction, and what came of it so far.
pub(super) struct Sitting<'a> {
    tx: Tx,
    batch: &'a [Write],
    means: &'a Means,
    now: Timestamp,
    outcomes: Vec<Outcome>,
    told: Vec<CloudEvent>,
}

impl<'a> Sitting<'a> {
    /// Until something else comes of it, everyone is told that there is no such session.
    pub(super) fn new(tx: Tx, batch: &'a [Write], means: &'a Means) -> Self {
        let outcomes = batch.iter().map(|_| Err(SessionError::NotFound)).collect();
        Self { tx, batch, means, now: means.clock.now(), outcomes, told: Vec::with_capacity(batch.len()) }
    }

    pub(super) async fn work(&mut self) -> Result<(), Failure> {
        for [starts, starts_once, ends, deletes] in rounds(self.batch) {
            self.start(starts).await?;
            self.start_once(starts_once).await?;
            self.end(&ends).await?;
            self.delete(&deletes).await?;
        }
        publisher::record_many(&mut self.tx, &self.told).await
    }

    /// Commits, and tells what came of each and whether there are events to publish.
    pub(super) async fn close(self) -> Result<(Vec<Outcome>, bool), Failure> {
        self.tx.commit().await?;
        Ok((self.outcomes, !self.told.is_empty()))
    }

    /// The new sessions come back in any order, but one of a user's is as good as another: in the order of their ids they go to those
    /// who asked, in the order in which they did.
    async fn start(&mut self, mut places: Vec<usize>) -> Result<(), Failure> {
        if places.is_empty() {
            return Ok(());
        }
        places.sort_by_key(|&place| self.batch[place].user);
        let users: Vec<UserId> = places.iter().map(|&place| self.batch[place].user).collect();
        let sessions = store::start(&mut self.tx, &users, self.now).await?;
        for (place, session) in places.into_iter().zip(sessions) {
            self.started(place, session);
        }
        Ok(())
    }

    /// By user, so that batches of two nodes that wait for each other's keys wait in the same order.
    async fn start_once(&mut self, mut places: Vec<usize>) -> Result<(), Failure> {
        places.sort_by_key(|&place| self.batch[place].user);
        for place in places {
            if let Change::Start(Some(key)) = &self.batch[place].change {
                match idempotency::claim(&mut self.tx, key, self.now).await? {
                    Claim::First => self.start_and_settle(place, key).await?,
                    Claim::Again(answer) => self.outcomes[place] = Ok(replayed(answer)?),
                    Claim::Mismatch => self.outcomes[place] = Err(SessionError::KeyReused),
                }
            }
        }
        Ok(())
    }

    async fn start_and_settle(&mut self, place: usize, key: &Key) -> Result<(), Failure> {
        for session in store::start(&mut self.tx, &[key.user], self.now).await? {
            idempotency::settle(&mut self.tx, key, &Answer::of(201, &session)?).await?;
            self.started(place, session);
        }
        Ok(())
    }

    async fn end(&mut self, places: &[usize]) -> Result<(), Failure> {
        let asked = self.asked(places);
        if asked.is_empty() {
            return Ok(());
        }
        let mut ended = by_id(store::end(&mut self.tx, &asked, self.now).await?);
        let known = if ended.len() < asked.len() { store::find(&mut self.tx, &asked).await? } else { Vec::new() };
        let known = by_id(known);
        for (&place, (id, user)) in places.iter().zip(asked) {
            let just_now = take_of(&mut ended, id, user);
            if let Some(Session { end_time: Some(end_time), .. }) = just_now {
                self.tell(place, Event::SessionEnded { user_id: user, session_id: id, end_time });
            }
            if let Some(session) = just_now.or_else(|| known.get(&id).copied().filter(|found| found.user_id == user)) {
                self.outcomes[place] = Ok(Started { session, replay: None });
            }
        }
        Ok(())
    }

    async fn delete(&mut self, places: &[usize]) -> Result<(), Failure> {
        let asked = self.asked(places);
        if asked.is_empty() {
            return Ok(());
        }
        let mut deleted = by_id(store::delete(&mut self.tx, &asked).await?);
        for (&place, (id, user)) in places.iter().zip(asked) {
            if let Some(session) = take_of(&mut deleted, id, user) {
                self.tell(place, Event::SessionDeleted { user_id: user, session_id: id });
                self.outcomes[place] = Ok(Started { session, replay: None });
            }
        }
        Ok(())
    }

    fn started(&mut self, place: usize, session: Session) {
        let Session { id: session_id, user_id, start_time, .. } = session;
        self.tell(place, Event::SessionStarted { user_id, session_id, start_time });
        self.outcomes[place] = Ok(Started { session, replay: None });
    }

    fn tell(&mut self, place: usize, event: Event) {
        self.told.push(event.seal(&self.batch[place].origin, self.now, &self.means.rng));
    }

    fn asked(&self, places: &[usize]) -> Vec<Asked> {
        let asked = |write: &Write| match write.change {
            Change::End(id) | Change::Delete(id) => Some((id, write.user)),
            Change::Start(_) => None,
        };
        places.iter().filter_map(|&place| asked(&self.batch[place])).collect()
    }
}

/// Mostly one round. One user's changes keep the order in which they arrived: what would come too late in a round opens the next.
fn rounds(batch: &[Write]) -> Vec<Round> {
    let mut rounds = vec![Round::default()];
    let mut latest: HashMap<UserId, (usize, Phase)> = HashMap::with_capacity(batch.len());
    for (place, write) in batch.iter().enumerate() {
        let phase = phase_of(&write.change);
        let (round, before) = latest.entry(write.user).or_insert((0, phase));
        if phase < *before {
            *round += 1;
            rounds.resize_with(rounds.len().max(*round + 1), Round::default);
        }
        *before = phase;
        rounds[*round][phase as usize].push(place);
    }
    rounds
}

fn phase_of(change: &Change) -> Phase {
    match change {
        Change::Start(None) => Phase::Start,
        Change::Start(Some(_)) => Phase::StartOnce,
        Change::End(_) => Phase::End,
        Change::Delete(_) => Phase::Delete,
    }
}

fn replayed(answer: Answer) -> Result<Started, Failure> {
    let session = serde_json::from_str(&answer.body).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Started { session, replay: Some(answer) })
}

fn by_id(sessions: Vec<Session>) -> HashMap<SessionId, Session> {
    sessions.into_iter().map(|session| (session.id, session)).collect()
}

/// The session, for the first of its owner's who asks.
fn take_of(sessions: &mut HashMap<SessionId, Session>, id: SessionId, user: UserId) -> Option<Session> {
    if sessions.get(&id)?.user_id == user { sessions.remove(&id) } else { None }
}
