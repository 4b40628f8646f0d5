//! One transaction over a batch: as few statements as it has tables, whatever the number of changes.
//!
//! A round claims the changes' keys, by which what was done before drops out; starts sessions; locks those that are left; decides everything
//! [on paper](Book), in the order in which it was asked for; then [writes](Plan) it, and answers.

use faceofmind_model::event::SessionEvent;
use std::collections::HashSet;

use faceofmind_base::Timestamp;
use faceofmind_db::Tx;
use faceofmind_runtime::legacy::Failure;

use super::{
    book::Book,
    decision::Decision,
    desk::{Change, Means, Outcome, Write},
    plan::{Plan, Written},
    session::{SessionError, SessionId},
    store::{self, Asked},
    trap::{Step, Trap},
};
use faceofmind_model::event::{CloudEvent, DomainEvent};
use faceofmind_platform::idempotency::{Answer, Key, Once};
use faceofmind_platform::{idempotency, outbox};

/// A transaction, and what came of it so far.
pub(super) struct Sitting<'a> {
    tx: Tx,
    batch: &'a [Write],
    means: &'a Means,
    trap: Trap,
    now: Timestamp,
    /// By the places in the batch.
    outcomes: Vec<Option<Outcome>>,
    told: Vec<CloudEvent>,
}

impl<'a> Sitting<'a> {
    pub(super) fn new(tx: Tx, batch: &'a [Write], means: &'a Means) -> Self {
        let outcomes = batch.iter().map(|_| None).collect();
        let (trap, now, told) = (means.trap.over(batch.len()), means.clock.now(), Vec::with_capacity(batch.len()));
        Self { tx, batch, means, trap, now, outcomes, told }
    }

    /// Mostly one round. A change whose key another one has in the same batch waits for the next, to hear what came of that one.
    pub(super) async fn work(&mut self) -> Result<(), Failure> {
        let mut places: Vec<usize> = (0..self.batch.len()).collect();
        while !places.is_empty() {
            let (now, later) = self.claim(places).await?;
            self.round(&now).await?;
            places = later;
        }
        self.trap.step(Step::Written);
        Ok(outbox::record_many(&mut self.tx, &self.told).await?)
    }

    /// Commits, and tells what came of each and whether there are events to publish.
    pub(super) async fn close(self) -> Result<(Vec<Outcome>, bool), Failure> {
        self.tx.commit().await?;
        self.trap.step(Step::Committed);
        let outcomes = self.outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(SessionError::NotFound)));
        Ok((outcomes.collect(), !self.told.is_empty()))
    }

    /// Those that are to be done, and those that wait for the next round. In the order of the keys, so that batches of two nodes that wait
    /// for each other's wait in the same order.
    async fn claim(&mut self, places: Vec<usize>) -> Result<(Vec<usize>, Vec<usize>), Failure> {
        let (mut todo, mut later, mut claimed) = (Vec::new(), Vec::new(), HashSet::new());
        let (mut keyed, unkeyed): (Vec<usize>, _) = places.into_iter().partition(|&place| self.key(place).is_some());
        keyed.sort_by_key(|&place| self.key(place).map(Key::scope));
        for place in keyed {
            let Some(key) = self.key(place) else { continue };
            if claimed.contains(&key.scope()) {
                later.push(place);
                continue;
            }
            let claim = idempotency::claim(&mut self.tx, &self.means.keyring, key, self.now).await?;
            match claim.earlier(SessionError::KeyReused).transpose() {
                Some(earlier) => self.outcomes[place] = Some(earlier.map(Once::Again)),
                None => {
                    claimed.insert(key.scope());
                    todo.push(place);
                }
            }
        }
        todo.extend(unkeyed);
        todo.sort_unstable();
        Ok((todo, later))
    }

    async fn round(&mut self, places: &[usize]) -> Result<(), Failure> {
        let starts = places.iter().map(|&place| &self.batch[place]);
        let starts = starts.filter(|write| matches!(write.change, Change::Start)).map(|write| write.user);
        let mut plan = Plan::starting(starts.collect());
        let started = plan.write_starts(&mut self.tx, self.now).await?;
        let mut book = self.open_book(places).await?;
        self.trap.step(Step::Locked);
        let decide = |&place: &usize| Decision::of(&self.batch[place], self.now, &mut book, &mut plan);
        let decided: Vec<_> = places.iter().map(decide).collect();
        let written = plan.write(&mut self.tx, self.now, &self.means.keyring, &self.trap).await?;
        let written = Written { sessions: started, ..written };
        for (&place, decision) in places.iter().zip(decided) {
            self.outcomes[place] = Some(decision.map(|decision| {
                let (made, events) = decision.conclude(self.batch[place].user, &written, self.now);
                self.tell(place, events);
                Once::Now(made)
            }));
        }
        self.settle(places).await
    }

    /// Locks the sessions that these changes concern.
    async fn open_book(&mut self, places: &[usize]) -> Result<Book, Failure> {
        let changes = || places.iter().map(|&place| &self.batch[place]);
        let asked = |write: &Write| Some((write.change.session()?, write.user));
        let mut asked: Vec<Asked> = changes().filter_map(asked).collect();
        let rates = |write: &Write| if let Change::Rate(id, _) = write.change { Some(id) } else { None };
        let rates: Vec<SessionId> = changes().filter_map(rates).collect();
        asked.sort_unstable();
        asked.dedup();
        let sessions = if asked.is_empty() { Vec::new() } else { store::lock(&mut self.tx, &asked).await? };
        let rated = if rates.is_empty() { Vec::new() } else { store::feedback::rated(&mut self.tx, &rates).await? };
        Ok(Book::new(sessions, rated))
    }

    /// Keeps the answers of those that have a key, and gives back the keys of those of which nothing came.
    async fn settle(&mut self, places: &[usize]) -> Result<(), Failure> {
        let (mut answers, mut refused) = (Vec::new(), Vec::new());
        for &place in places {
            let Some(key) = self.key(place) else { continue };
            match &self.outcomes[place] {
                Some(Ok(Once::Now(made))) => answers.push((key, Answer::of(made.status(), made)?)),
                _ => refused.push(key),
            }
        }
        idempotency::settle_all(&mut self.tx, &self.means.keyring, &answers).await?;
        idempotency::release_all(&mut self.tx, &refused).await
    }

    fn tell(&mut self, place: usize, events: Vec<SessionEvent>) {
        let seal = |event: SessionEvent| event.into_cloud_event(&self.batch[place].origin, self.now, &self.means.rng);
        self.told.extend(events.into_iter().map(seal));
    }

    fn key(&self, place: usize) -> Option<&'a Key> {
        self.batch[place].key.as_ref()
    }
}
