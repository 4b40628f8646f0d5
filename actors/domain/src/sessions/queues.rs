//! Where commands wait: for the next batch, for a turn of their own, or behind others of their lane.

use std::collections::{BTreeMap, HashMap};

use faceofmind_db::MAX_ROWS;
use faceofmind_platform::caller;
use faceofmind_runtime::{Actor, AskError, Batch, FlushGuard, FlushId, Handle, Handler, Message};

use super::commands::{ACTOR, HeldLanes, Lane, PendingCommand};

/// The commands that are not being written.
///
/// A batch takes what many callers sent, and one is written at a time. A large command would make a batch take long for all of them. So it leaves
/// its batch, and is written alone, beside the batches, one at a time.
///
/// *Guarantees*: commands of one lane are written in the order of their arrival. None is written while an earlier one of its lane is held, or is a
/// large one that waits or is being written; large ones of a lane wait in their order.
pub(super) struct CommandQueues {
    /// How many commands have come.
    arrived: u64,
    batch: Batch<PendingCommand>,
    /// Large commands that wait for the end of the batch in which they were: it may hold earlier commands of their lanes.
    behind_batch: Vec<PendingCommand>,
    large: Batch<PendingCommand>,
    large_lanes: HeldLanes,
    /// Commands whose rows another transaction holds, deletions that take several batches, and those behind them or behind a large command: of
    /// each lane by their numbers.
    held: HashMap<Lane, BTreeMap<u64, PendingCommand>>,
}

/// A batch is written.
pub(super) struct Flushed(pub(super) FlushId);

impl Message for Flushed {
    type Output = ();
    type Error = AskError;
}

/// A large command is written, or cannot be.
pub(super) struct LargeFlushed(pub(super) FlushId);

impl Message for LargeFlushed {
    type Output = ();
    type Error = AskError;
}

impl CommandQueues {
    /// Returns empty queues, which tell that actor what is written.
    pub(super) fn new<A: Actor + Handler<Flushed> + Handler<LargeFlushed>>(
        max_rows: usize,
        handle: &Handle<A>,
    ) -> Self {
        let (flushed, large_flushed) = (handle.clone(), handle.clone());
        let refuse = |late: PendingCommand| late.caller.reply(Err(AskError::TimedOut(ACTOR).into()));
        Self {
            arrived: 0,
            batch: Batch::new(max_rows.clamp(1, MAX_ROWS), move |flush| flushed.tell(Flushed(flush)))
                .refuse_late(refuse),
            behind_batch: Vec::new(),
            large: Batch::new(1, move |flush| large_flushed.tell(LargeFlushed(flush))).refuse_late(refuse),
            large_lanes: HeldLanes::default(),
            held: HashMap::new(),
        }
    }

    pub(super) fn push(&mut self, mut pending: PendingCommand) {
        self.arrived += 1;
        pending.number = self.arrived;
        let weight = pending.weight();
        self.batch.push_weighted(caller::user(pending.context.user), pending, weight);
    }

    /// Returns the commands of the next batch, unless one is being written or none waits. It has none where all must wait for others.
    pub(super) fn next_batch(&mut self) -> Option<(Vec<PendingCommand>, FlushGuard)> {
        let (batch, guard) = self.batch.start_flush()?;
        Some((self.set_aside(batch), guard))
    }

    /// Returns the next large command, unless one is being written or none waits. It has none where that one must wait behind a held one.
    pub(super) fn next_large(&mut self) -> Option<(Vec<PendingCommand>, FlushGuard)> {
        let (large, guard) = self.large.start_flush()?;
        let (behind_held, large) = large.into_iter().partition(|pending| self.is_behind_held(pending));
        self.hold(behind_held);
        Some((large, guard))
    }

    /// A batch is written, and with it all that was before its large commands.
    pub(super) fn finish_batch(&mut self, flush: FlushId) {
        self.batch.finish_flush(flush);
        self.push_large();
    }

    /// A large command is written, or cannot be.
    pub(super) fn finish_large(&mut self, flush: FlushId) {
        self.large.finish_flush(flush);
    }

    /// Nothing is being written, and the ends of batches are no longer told.
    pub(super) fn finish_all(&mut self) {
        self.batch.reset();
        self.large.reset();
        self.push_large();
    }

    /// Keeps commands that could not be written yet. Those behind them in their lanes wait too.
    pub(super) fn hold(&mut self, held: Vec<PendingCommand>) {
        for mut pending in held {
            pending.leave_lane();
            self.held.entry(pending.lane()).or_default().insert(pending.number, pending);
        }
    }

    /// Puts the held commands before all others.
    pub(super) fn retry_held(&mut self) {
        let held: BTreeMap<_, _> = self.held.drain().flat_map(|(_, of_lane)| of_lane).collect();
        for pending in held.into_values().rev() {
            let weight = pending.weight();
            self.batch.push_front_weighted(pending, weight);
        }
    }

    /// How many wait for a batch.
    pub(super) fn pending(&self) -> usize {
        self.batch.pending()
    }

    /// How many large commands wait.
    pub(super) fn large(&self) -> usize {
        self.behind_batch.len() + self.large.pending()
    }

    /// How many are held.
    pub(super) fn held(&self) -> usize {
        self.held.values().map(BTreeMap::len).sum()
    }

    /// Whether a batch is being written.
    pub(super) fn is_in_flight(&self) -> bool {
        self.batch.is_in_flight()
    }

    /// Returns the commands of a batch without its large ones, and without those that must wait behind others.
    fn set_aside(&mut self, batch: Vec<PendingCommand>) -> Vec<PendingCommand> {
        let mut rest = Vec::with_capacity(batch.len());
        for mut pending in batch {
            let is_behind_large = !pending.is_large() && self.large_lanes.are_holding(pending.lane());
            if is_behind_large || self.is_behind_held(&pending) {
                self.hold(vec![pending]);
            } else if pending.is_large() {
                pending.hold_lane(&self.large_lanes);
                self.behind_batch.push(pending);
            } else {
                rest.push(pending);
            }
        }
        rest
    }

    fn is_behind_held(&self, pending: &PendingCommand) -> bool {
        let first = self.held.get(&pending.lane()).and_then(BTreeMap::first_key_value);
        first.is_some_and(|(number, _)| *number < pending.number)
    }

    /// Gives the large commands their turns.
    fn push_large(&mut self) {
        for pending in std::mem::take(&mut self.behind_batch) {
            self.large.push_weighted(caller::user(pending.context.user), pending, 1);
        }
    }
}
