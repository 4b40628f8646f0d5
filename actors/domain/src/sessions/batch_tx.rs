//! One transaction over a batch. It needs a few statements a table, whatever the number of commands, and one for each idempotency key.
//!
//! The rows of its commands are locked before ([`RowLocks`]). Each round (1) claims idempotency keys and drops replays, (2) inserts new
//! sessions, (3) decides all commands in request order, (4) writes the effects and makes the responses.

use std::collections::HashSet;

use faceofmind_base::Timestamp;
use faceofmind_db::{StoreError, Tx};
use faceofmind_model::event::{CloudEvent, DomainEvent, SessionEvent};
use faceofmind_platform::{
    Platform,
    idempotency::{self, IdempotencyKey, StoredResponse},
    outbox,
};
use faceofmind_runtime::FailPoint;

use super::{
    commands::{Command, CommandResult, PendingCommand},
    decide::{BuildResponse, LockedSessions, decide},
    failpoint::FailPointSite,
    messages::SessionError,
    row_locks::RowLocks,
    session::SessionId,
    store::{self, OwnedSession},
    write_set::{InsertedRows, WriteSet},
};

pub(super) struct BatchTx<'a> {
    tx: Tx,
    batch: &'a [PendingCommand],
    deps: &'a Platform,
    fail_point: &'a FailPoint<FailPointSite>,
    now: Timestamp,
    locks: RowLocks,
    /// By the index in the batch.
    results: Vec<Option<CommandResult>>,
    events: Vec<CloudEvent>,
}

impl<'a> BatchTx<'a> {
    pub(super) fn new(
        (tx, locks): (Tx, RowLocks),
        batch: &'a [PendingCommand],
        deps: &'a Platform,
        fail_point: &'a FailPoint<FailPointSite>,
    ) -> Self {
        let (results, events) = (batch.iter().map(|_| None).collect(), Vec::with_capacity(batch.len()));
        Self { tx, batch, deps, fail_point, now: deps.clock.now(), locks, results, events }
    }

    /// Usually runs one round. A command with the key of another command of the batch waits for the next round, which replays the response
    /// to the first or, when that was refused, carries out the second.
    pub(super) async fn run(&mut self) -> Result<(), SessionError> {
        let mut indices: Vec<usize> = (0..self.batch.len()).collect();
        while !indices.is_empty() {
            let (ready, deferred) = self.claim_keys(indices).await?;
            self.run_round(&ready).await?;
            indices = deferred;
        }
        self.pass(FailPointSite::Written);
        Ok(outbox::record_many(&mut self.tx, &self.events).await?)
    }

    /// Commits, and returns the result of each command and whether there are events to publish.
    pub(super) async fn commit(self) -> Result<(Vec<CommandResult>, bool), SessionError> {
        let Self { tx, batch, fail_point, results, events, .. } = self;
        // Each round gives every command a result or defers it, and the last defers none.
        let results = results.into_iter().collect::<Option<Vec<_>>>();
        let undecided = || sqlx::Error::Protocol("a command of the batch was not decided".to_owned());
        let results = results.ok_or_else(|| StoreError::Rejected(undecided()))?;
        tx.commit().await?;
        fail_point.pass(&FailPointSite::Committed, batch.len());
        Ok((results, !events.is_empty()))
    }

    /// Returns the commands to carry out and those that wait for the next round. Keys are claimed in their order, so that the batches of
    /// two nodes do not deadlock.
    async fn claim_keys(&mut self, indices: Vec<usize>) -> Result<(Vec<usize>, Vec<usize>), SessionError> {
        let (mut ready, mut deferred, mut claimed) = (Vec::new(), Vec::new(), HashSet::new());
        let (mut keyed, unkeyed): (Vec<usize>, _) = indices.into_iter().partition(|&index| self.key(index).is_some());
        keyed.sort_by_key(|&index| self.key(index).map(IdempotencyKey::scope));
        for index in keyed {
            let Some(key) = self.key(index) else { continue };
            if claimed.contains(&key.scope()) {
                deferred.push(index);
                continue;
            }
            let claim = idempotency::claim(&mut self.tx, &self.deps.keyring, key, self.now).await?;
            match claim.into_replay(SessionError::KeyReused).transpose() {
                Some(replay) => self.results[index] = Some(replay),
                None => {
                    claimed.insert(key.scope());
                    ready.push(index);
                }
            }
        }
        ready.extend(unkeyed);
        ready.sort_unstable();
        Ok((ready, deferred))
    }

    async fn run_round(&mut self, indices: &[usize]) -> Result<(), SessionError> {
        let commands = || indices.iter().map(|&index| &self.batch[index]);
        let starts = commands().filter(|pending| matches!(pending.command, Command::Start(_)));
        let mut writes = WriteSet::with_starts(starts.map(|pending| pending.context.user).collect());
        let sessions = writes.insert_sessions(&mut self.tx, self.now).await?;
        let mut locked = self.locked_sessions(commands()).await?;
        self.pass(FailPointSite::Locked);
        let decisions: Vec<_> = commands().map(|pending| decide(pending, self.now, &mut locked, &mut writes)).collect();
        let detections = writes.insert_detections(&mut self.tx).await?;
        self.pass(FailPointSite::DetectionsInserted);
        let feedback = writes.write_rest(&mut self.tx, self.now, &self.deps.keyring, &detections).await?;
        let rows = InsertedRows { sessions, detections, feedback };
        for (&index, decision) in indices.iter().zip(decisions) {
            let result = decision.map(|build| self.respond(index, build, &rows));
            self.results[index] = Some(result);
        }
        self.store_responses(indices).await
    }

    /// Returns the locked sessions, read again where an earlier round has changed them.
    async fn locked_sessions(
        &mut self,
        commands: impl Iterator<Item = &'a PendingCommand> + Clone,
    ) -> Result<LockedSessions, SessionError> {
        let rated = |pending: &PendingCommand| match pending.command {
            Command::Rate { session, .. } => Some(session),
            _ => None,
        };
        let rated: Vec<SessionId> = commands.clone().filter_map(rated).collect();
        let mut sessions = std::mem::take(&mut self.locks.sessions);
        if sessions.is_empty() {
            let requested: Vec<OwnedSession> = commands.filter_map(PendingCommand::owned_session).collect();
            sessions = store::find(self.tx.connection(), &requested).await?;
        }
        let rated = if rated.is_empty() { Vec::new() } else { store::feedback::rated(&mut self.tx, &rated).await? };
        Ok(LockedSessions::new(sessions, rated))
    }

    /// Collects the events of a command, and makes its response.
    fn respond(&mut self, index: usize, build: BuildResponse<'a>, rows: &InsertedRows) -> StoredResponse {
        let context = &self.batch[index].context;
        let (response, events) = build(rows);
        let cloud_event = |event: SessionEvent| event.into_cloud_event(&context.event, self.now, &self.deps.rng);
        self.events.extend(events.into_iter().map(cloud_event));
        response
    }

    /// Stores the responses to commands with a key, and releases the keys of refused commands.
    async fn store_responses(&mut self, indices: &[usize]) -> Result<(), SessionError> {
        let (mut responses, mut refused) = (Vec::new(), Vec::new());
        for &index in indices {
            let Some(key) = self.key(index) else { continue };
            match &self.results[index] {
                Some(Ok(response)) => responses.push((key, response.clone())),
                _ => refused.push(key),
            }
        }
        idempotency::store_responses(&mut self.tx, &self.deps.keyring, &responses).await?;
        Ok(idempotency::release_all(&mut self.tx, &refused).await?)
    }

    fn key(&self, index: usize) -> Option<&'a IdempotencyKey> {
        self.batch[index].context.key.as_ref()
    }

    fn pass(&self, site: FailPointSite) {
        self.fail_point.pass(&site, self.batch.len());
    }
}
