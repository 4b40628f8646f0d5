//! One-for-one supervision: a failed child restarts after a backoff, and a child that keeps failing escalates.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use faceofmind_base::{Backoff, Clock, Rng, Timestamp};
use ractor::{ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use serde::Serialize;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{RuntimeMetrics, adapter::StartError};

pub(crate) mod child;
pub use child::ChildSpec;

/// Each child gets at least this long to stop, even when the time for all of them has passed.
const MIN_STOP_GRACE: Duration = Duration::from_millis(200);

/// How many failures of a child the supervisor tolerates before it escalates, and how long it waits between restarts.
#[derive(Clone, Copy, Debug)]
pub struct RestartPolicy {
    /// The most restarts of one child within the window; one more failure escalates.
    pub max_restarts: usize,
    /// The time in which restarts are counted.
    pub window: Duration,
    /// The delay before a restart.
    pub backoff: Backoff,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        let backoff = Backoff { initial: Duration::from_millis(20), max: Duration::from_secs(2) };
        Self { max_restarts: 5, window: Duration::from_secs(30), backoff }
    }
}

/// The state of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    /// It has not been started yet.
    NotStarted,
    /// It is running.
    Running,
    /// It failed and restarts after its backoff.
    Restarting,
    /// It failed too often: the process exits.
    Escalated,
    /// It was stopped.
    Stopped,
}

/// One row of the snapshot of the tree.
#[derive(Clone, Debug, Serialize)]
pub struct ChildStatus {
    /// The child's name, as in logs and metrics.
    pub name: &'static str,
    /// Whether it runs, restarts or has stopped.
    pub state: ActorState,
    /// When it entered that state.
    pub since: Timestamp,
    /// The number of its restarts.
    pub restarts: u64,
    /// Why it last failed; null if it never did.
    pub last_cause: Option<String>,
    /// Unfinished requests: queued or in progress.
    pub queue_len: usize,
    /// The most unfinished requests that its mailbox holds.
    pub capacity: usize,
}

/// Starts a tree of supervised actors.
#[derive(Debug)]
pub enum Supervisor {}

/// Restarts the children. Its mailbox has their exits.
struct SupervisorActor;

/// A handle to a running tree.
#[derive(Clone, Debug)]
pub struct SupervisorHandle {
    actor: ActorRef<SupervisorCommand>,
    statuses: Statuses,
    children: Arc<Vec<ChildSpec>>,
    escalation: watch::Receiver<Option<&'static str>>,
    metrics: RuntimeMetrics,
}

type Statuses = Arc<Mutex<Vec<ChildStatus>>>;

/// The children of a tree, and how it treats them.
#[derive(Debug)]
pub struct SupervisorSpec {
    /// The actors, in the order of their start. They stop in the reverse order.
    pub children: Vec<ChildSpec>,
    /// The restart policy of every child.
    pub policy: RestartPolicy,
    /// Dates the failures.
    pub clock: Clock,
    /// Jitters the restarts.
    pub rng: Rng,
}

enum SupervisorCommand {
    Restart(usize),
    Stop { timeout: Duration, done: oneshot::Sender<()> },
}

struct SupervisorState {
    children: Arc<Vec<ChildSpec>>,
    cells: Vec<Option<ActorCell>>,
    failures: Vec<VecDeque<Timestamp>>,
    statuses: Statuses,
    escalation: watch::Sender<Option<&'static str>>,
    policy: RestartPolicy,
    clock: Clock,
    rng: Rng,
    stopping: bool,
}

impl Supervisor {
    /// Starts the children in order.
    ///
    /// # Errors
    /// The first child's failure to start. The children before it are stopped.
    pub async fn start(spec: SupervisorSpec) -> Result<SupervisorHandle, StartError> {
        let (escalate, escalation) = watch::channel(None);
        let children = Arc::new(spec.children);
        let metrics = RuntimeMetrics::default();
        children.iter().for_each(|child| child.set_metrics(&metrics));
        let now = spec.clock.now();
        let statuses =
            Arc::new(Mutex::new(children.iter().map(|child| ChildStatus::not_started(child, now)).collect()));
        let tree = SupervisorState {
            cells: vec![None; children.len()],
            failures: vec![VecDeque::new(); children.len()],
            children: Arc::clone(&children),
            statuses: Arc::clone(&statuses),
            escalation: escalate,
            policy: spec.policy,
            clock: spec.clock,
            rng: spec.rng,
            stopping: false,
        };
        match ractor::Actor::spawn(None, SupervisorActor, tree).await {
            Ok((actor, _)) => Ok(SupervisorHandle { actor, statuses, children, escalation, metrics }),
            Err(error) => Err(error.into()),
        }
    }
}

impl SupervisorHandle {
    /// Returns the current state of each child.
    pub fn snapshot(&self) -> Vec<ChildStatus> {
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (row, child) in statuses.iter_mut().zip(self.children.iter()) {
            row.queue_len = child.queue_len();
        }
        statuses
    }

    /// The metrics of every child's messages.
    pub fn metrics(&self) -> &RuntimeMetrics {
        &self.metrics
    }

    /// Returns the child of that name.
    pub fn child(&self, name: &str) -> Option<&ChildSpec> {
        self.children.iter().find(|child| child.name() == name)
    }

    /// Returns all children, in the order of their start.
    pub fn children(&self) -> &[ChildSpec] {
        &self.children
    }

    /// Waits until a child has escalated, and returns its name. The process then exits, so that its service manager restarts it.
    pub async fn escalated(&mut self) -> &'static str {
        match self.escalation.wait_for(Option::is_some).await {
            Ok(name) => name.unwrap_or("supervisor"),
            Err(_) => "supervisor",
        }
    }

    /// Stops the children in the reverse order of their start, each after it has drained its mailbox. They share `timeout`: a child that
    /// exceeds it is killed, and each child after it gets 200 ms.
    pub async fn stop(&self, timeout: Duration) {
        let (done, stopped) = oneshot::channel();
        if self.actor.send_message(SupervisorCommand::Stop { timeout, done }).is_ok() {
            drop(stopped.await);
        }
    }
}

impl ChildStatus {
    fn not_started(child: &ChildSpec, since: Timestamp) -> Self {
        Self {
            name: child.name(),
            state: ActorState::NotStarted,
            since,
            restarts: 0,
            last_cause: None,
            queue_len: 0,
            capacity: child.capacity(),
        }
    }
}

impl SupervisorState {
    async fn start(&mut self, index: usize, myself: &ActorRef<SupervisorCommand>) -> Result<(), ActorProcessingErr> {
        let child = &self.children[index];
        let cell = child.start(myself.get_cell()).await?;
        self.cells[index] = Some(cell);
        tracing::info!(actor = child.name(), "actor started");
        self.set_status(index, ActorState::Running, None);
        Ok(())
    }

    fn set_status(&self, index: usize, state: ActorState, cause: Option<String>) {
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let row = &mut statuses[index];
        row.restarts += u64::from(state == ActorState::Restarting);
        row.last_cause = cause.or(row.last_cause.take());
        row.state = state;
        row.since = self.clock.now();
    }

    fn index_of(&self, cell: &ActorCell) -> Option<usize> {
        self.cells.iter().position(|known| known.as_ref().is_some_and(|known| known.get_id() == cell.get_id()))
    }

    fn on_failure(&mut self, index: usize, cause: &str, myself: &ActorRef<SupervisorCommand>) {
        self.cells[index] = None;
        self.children[index].detach();
        let name = self.children[index].name();
        let failures = self.record_failure(index);
        if failures > self.policy.max_restarts {
            tracing::error!(actor = name, cause, failures, "actor failed too often and escalated; the process exits");
            self.set_status(index, ActorState::Escalated, Some(cause.to_owned()));
            self.escalation.send_replace(Some(name));
            return;
        }
        let delay = self.policy.backoff.delay(u32::try_from(failures).unwrap_or(u32::MAX), &self.rng);
        tracing::error!(
            actor = name,
            cause,
            failures,
            delay_ms = delay.as_millis(),
            "actor failed; it restarts after the delay"
        );
        self.set_status(index, ActorState::Restarting, Some(cause.to_owned()));
        drop(myself.send_after(delay, move || SupervisorCommand::Restart(index)));
    }

    fn record_failure(&mut self, index: usize) -> usize {
        let now = self.clock.now();
        let recent = &mut self.failures[index];
        recent.push_back(now);
        while recent.front().is_some_and(|&first| now.since(first) > self.policy.window) {
            recent.pop_front();
        }
        recent.len()
    }

    async fn stop_all(&mut self, timeout: Duration) {
        self.stopping = true;
        let end = Instant::now() + timeout;
        for index in (0..self.cells.len()).rev() {
            let Some(cell) = self.cells[index].take() else { continue };
            let left = end.duration_since(Instant::now()).max(MIN_STOP_GRACE);
            if cell.drain_and_wait(Some(left)).await.is_err() {
                tracing::warn!(actor = self.children[index].name(), "actor did not stop in time and was killed");
                cell.kill();
            }
            self.children[index].detach();
            self.set_status(index, ActorState::Stopped, None);
            tracing::info!(actor = self.children[index].name(), "actor stopped");
        }
    }
}

impl ractor::Actor for SupervisorActor {
    type Msg = SupervisorCommand;
    type State = SupervisorState;
    type Arguments = SupervisorState;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorCommand>,
        mut tree: SupervisorState,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        for index in 0..tree.children.len() {
            if let Err(error) = tree.start(index, &myself).await {
                let name = tree.children[index].name();
                tree.stop_all(Duration::from_secs(1)).await;
                return Err(format!("actor {name} failed to start: {error}").into());
            }
        }
        Ok(tree)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorCommand>,
        order: SupervisorCommand,
        tree: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match order {
            SupervisorCommand::Restart(_) if tree.stopping => {}
            SupervisorCommand::Restart(index) => {
                if let Err(error) = tree.start(index, &myself).await {
                    tree.on_failure(index, &error.to_string(), &myself);
                }
            }
            SupervisorCommand::Stop { timeout, done } => {
                tree.stop_all(timeout).await;
                let _stopped = done.send(());
                myself.stop(None);
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorCommand>,
        event: SupervisionEvent,
        tree: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let (cell, cause) = match event {
            SupervisionEvent::ActorFailed(cell, error) => (cell, error.to_string()),
            SupervisionEvent::ActorTerminated(cell, _, reason) => (cell, reason.unwrap_or_else(|| "stopped".into())),
            _ => return Ok(()),
        };
        match tree.index_of(&cell) {
            Some(index) if !tree.stopping => tree.on_failure(index, &cause, &myself),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
