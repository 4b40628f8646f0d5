//! One-for-one supervision: a child that fails is started again after a backoff, and one that keeps failing escalates.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ractor::{ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use serde::Serialize;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{Backoff, Clock, Failure, Rng, Timestamp};

mod child;
pub use child::Child;

/// A child has so long to stop in good order, even when the time of all is over.
const LEAST_TO_STOP: Duration = Duration::from_millis(200);

/// How often a child may fail before the supervisor gives up, and how long it waits between.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// So many restarts within the window are borne; one more escalates.
    pub restarts: usize,
    /// The window.
    pub within: Duration,
    /// The wait before a restart.
    pub backoff: Backoff,
}

impl Default for Policy {
    fn default() -> Self {
        let backoff = Backoff { first: Duration::from_millis(20), longest: Duration::from_secs(2) };
        Self { restarts: 5, within: Duration::from_secs(30), backoff }
    }
}

/// What a child is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not started yet.
    Waiting,
    /// At work.
    Running,
    /// Failed; to be started again after its backoff.
    Restarting,
    /// Failed too often: the whole program ends.
    GivenUp,
    /// Stopped in good order.
    Stopped,
}

/// One row of the tree's snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct ChildStatus {
    /// The child's name, as in logs and metrics.
    pub name: &'static str,
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// How often it was started again.
    pub restarts: u64,
    /// Why it last failed.
    pub last_cause: Option<String>,
    /// Letters in its mailbox that are not finished.
    pub mailbox: usize,
}

/// Keeps the children of one tree alive.
#[derive(Debug)]
pub enum Supervisor {}

/// The actor behind it.
struct Keeper;

/// What a started tree can be asked.
#[derive(Clone, Debug)]
pub struct SupervisorHandle {
    actor: ActorRef<Order>,
    rows: Rows,
    children: Arc<Vec<Child>>,
    escalation: watch::Receiver<Option<&'static str>>,
}

type Rows = Arc<Mutex<Vec<ChildStatus>>>;

/// The children, and what governs them.
#[derive(Debug)]
pub struct Family {
    /// In the order of their start; they stop in the reverse order.
    pub children: Vec<Child>,
    /// How failures are borne.
    pub policy: Policy,
    /// Dates the failures.
    pub clock: Clock,
    /// Spreads the restarts.
    pub rng: Rng,
}

enum Order {
    Restart(usize),
    Stop { within: Duration, done: oneshot::Sender<()> },
}

struct Tree {
    children: Arc<Vec<Child>>,
    cells: Vec<Option<ActorCell>>,
    failures: Vec<VecDeque<Timestamp>>,
    rows: Rows,
    escalation: watch::Sender<Option<&'static str>>,
    policy: Policy,
    clock: Clock,
    rng: Rng,
    stopping: bool,
}

impl Supervisor {
    /// Starts the children in their order.
    ///
    /// # Errors
    /// The first failure to start; those already started are stopped.
    pub async fn start(family: Family) -> Result<SupervisorHandle, Failure> {
        let (escalate, escalation) = watch::channel(None);
        let children = Arc::new(family.children);
        let now = family.clock.now();
        let rows = Arc::new(Mutex::new(children.iter().map(|child| ChildStatus::waiting(child.name(), now)).collect()));
        let tree = Tree {
            cells: vec![None; children.len()],
            failures: vec![VecDeque::new(); children.len()],
            children: Arc::clone(&children),
            rows: Arc::clone(&rows),
            escalation: escalate,
            policy: family.policy,
            clock: family.clock,
            rng: family.rng,
            stopping: false,
        };
        match ractor::Actor::spawn(None, Keeper, tree).await {
            Ok((actor, _)) => Ok(SupervisorHandle { actor, rows, children, escalation }),
            Err(error) => Err(Failure::Dependency { service: "supervisor", reason: error.to_string() }),
        }
    }
}

impl SupervisorHandle {
    /// The tree as it is now, a row for each child.
    pub fn snapshot(&self) -> Vec<ChildStatus> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (row, child) in rows.iter_mut().zip(self.children.iter()) {
            row.mailbox = child.depth();
        }
        rows
    }

    /// The child of that name.
    pub fn child(&self, name: &str) -> Option<&Child> {
        self.children.iter().find(|child| child.name() == name)
    }

    /// All children, in the order of their start.
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// Waits until a child has failed too often, and names it. The program shall then end, so that what started it starts it afresh.
    pub async fn escalated(&mut self) -> &'static str {
        match self.escalation.wait_for(Option::is_some).await {
            Ok(name) => name.unwrap_or("supervisor"),
            Err(_) => "supervisor",
        }
    }

    /// Stops the children in the reverse order of their start, each after it has dealt with its mailbox. All together they have `within`
    /// for it: who takes longer is killed, and who is left then has a moment each.
    pub async fn stop(&self, within: Duration) {
        let (done, stopped) = oneshot::channel();
        if self.actor.send_message(Order::Stop { within, done }).is_ok() {
            drop(stopped.await);
        }
    }
}

impl ChildStatus {
    fn waiting(name: &'static str, since: Timestamp) -> Self {
        Self { name, state: State::Waiting, since, restarts: 0, last_cause: None, mailbox: 0 }
    }
}

impl Tree {
    async fn start(&mut self, index: usize, myself: &ActorRef<Order>) -> Result<(), ActorProcessingErr> {
        let child = &self.children[index];
        let cell = child.start(myself.get_cell()).await?;
        self.cells[index] = Some(cell);
        tracing::info!(actor = child.name(), "started");
        self.note(index, State::Running, None);
        Ok(())
    }

    fn note(&self, index: usize, state: State, cause: Option<String>) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let row = &mut rows[index];
        row.restarts += u64::from(state == State::Restarting);
        row.last_cause = cause.or(row.last_cause.take());
        row.state = state;
        row.since = self.clock.now();
    }

    fn index_of(&self, cell: &ActorCell) -> Option<usize> {
        self.cells.iter().position(|known| known.as_ref().is_some_and(|known| known.get_id() == cell.get_id()))
    }

    fn failed(&mut self, index: usize, cause: &str, myself: &ActorRef<Order>) {
        self.cells[index] = None;
        self.children[index].vacate();
        let name = self.children[index].name();
        let failures = self.count_failure(index);
        if failures > self.policy.restarts {
            tracing::error!(actor = name, cause, failures, "failed too often: giving up");
            self.note(index, State::GivenUp, Some(cause.to_owned()));
            self.escalation.send_replace(Some(name));
            return;
        }
        let wait = self.policy.backoff.after(u32::try_from(failures).unwrap_or(u32::MAX), &self.rng);
        tracing::error!(actor = name, cause, failures, wait_ms = wait.as_millis(), "failed: to be restarted");
        self.note(index, State::Restarting, Some(cause.to_owned()));
        drop(myself.send_after(wait, move || Order::Restart(index)));
    }

    fn count_failure(&mut self, index: usize) -> usize {
        let now = self.clock.now();
        let recent = &mut self.failures[index];
        recent.push_back(now);
        while recent.front().is_some_and(|&first| now.since(first) > self.policy.within) {
            recent.pop_front();
        }
        recent.len()
    }

    async fn stop_all(&mut self, within: Duration) {
        self.stopping = true;
        let end = Instant::now() + within;
        for index in (0..self.cells.len()).rev() {
            let Some(cell) = self.cells[index].take() else { continue };
            let left = end.duration_since(Instant::now()).max(LEAST_TO_STOP);
            if cell.drain_and_wait(Some(left)).await.is_err() {
                tracing::warn!(actor = self.children[index].name(), "did not stop in time: killed");
                cell.kill();
            }
            self.children[index].vacate();
            self.note(index, State::Stopped, None);
            tracing::info!(actor = self.children[index].name(), "stopped");
        }
    }
}

impl ractor::Actor for Keeper {
    type Msg = Order;
    type State = Tree;
    type Arguments = Tree;

    async fn pre_start(&self, myself: ActorRef<Order>, mut tree: Tree) -> Result<Tree, ActorProcessingErr> {
        for index in 0..tree.children.len() {
            if let Err(error) = tree.start(index, &myself).await {
                let name = tree.children[index].name();
                tree.stop_all(Duration::from_secs(1)).await;
                return Err(format!("{name} did not start: {error}").into());
            }
        }
        Ok(tree)
    }

    async fn handle(&self, myself: ActorRef<Order>, order: Order, tree: &mut Tree) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Restart(_) if tree.stopping => {}
            Order::Restart(index) => {
                if let Err(error) = tree.start(index, &myself).await {
                    tree.failed(index, &error.to_string(), &myself);
                }
            }
            Order::Stop { within, done } => {
                tree.stop_all(within).await;
                let _stopped = done.send(());
                myself.stop(None);
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Order>,
        event: SupervisionEvent,
        tree: &mut Tree,
    ) -> Result<(), ActorProcessingErr> {
        let (cell, cause) = match event {
            SupervisionEvent::ActorFailed(cell, error) => (cell, error.to_string()),
            SupervisionEvent::ActorTerminated(cell, _, reason) => (cell, reason.unwrap_or_else(|| "stopped".into())),
            _ => return Ok(()),
        };
        match tree.index_of(&cell) {
            Some(index) if !tree.stopping => tree.failed(index, &cause, &myself),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
