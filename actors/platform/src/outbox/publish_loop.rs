//! The publish loop: runs one pass of the relay at a time, when there is a reason, and backs off after a failure.

use std::{
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use faceofmind_base::Rng;
use tokio::{
    sync::Notify,
    time::{Interval, MissedTickBehavior, interval},
};

use super::{
    OutboxError,
    actor::{LastPublished, Status},
    peer_signal::{PeerSignals, Signal},
    relay::{PassOutcome, Relay, Role},
};
use crate::nats::ConnectionState;

pub(super) struct PublishLoop {
    relay: Relay,
    signals: PeerSignals,
    rng: Rng,
    wake: Arc<Notify>,
    stop: Arc<Notify>,
    status: Arc<Mutex<Status>>,
    poll: Interval,
    /// The connection's epoch before the last pass. A later one calls for another pass.
    epoch: u64,
    /// Consecutive failed passes. While there are any, only the end of the delay or a change of the connection starts the next pass.
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Publish as the leader, or become the leader. Otherwise as `CatchUp`.
    Publish,
    /// Put on the bus what the leader has published.
    CatchUp,
    /// Signal the leader that events were recorded.
    SignalLeader,
}

impl Action {
    /// Returns what follows from recorded events on this node (`None`) or from a signal of another. A disconnected node leaves its events
    /// to the leader's next poll.
    fn after(signal: Option<Signal>, role: Option<Role>) -> Option<Self> {
        match (signal, role) {
            (None, None) | (None | Some(Signal::Recorded), Some(Role::Leader)) => Some(Self::Publish),
            (None, Some(Role::Follower)) => Some(Self::SignalLeader),
            (Some(Signal::Published), Some(Role::Follower)) => Some(Self::CatchUp),
            _ => None,
        }
    }
}

impl PublishLoop {
    pub(super) fn new(
        relay: Relay,
        signals: PeerSignals,
        rng: Rng,
        wake: Arc<Notify>,
        stop: Arc<Notify>,
        status: Arc<Mutex<Status>>,
    ) -> Self {
        let mut poll = interval(relay.settings.poll_interval);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { relay, signals, rng, wake, stop, status, poll, epoch: 0, failures: 0 }
    }

    /// Runs until `stop` is notified, then publishes what is pending and releases the lease.
    pub(super) async fn run(mut self) {
        while let Some(action) = self.next_action().await {
            self.epoch = self.relay.connection().map_or(0, ConnectionState::epoch);
            let outcome = match action {
                Action::Publish => self.relay.run_pass().await,
                Action::CatchUp if self.relay.bus.subscribers() > 0 => self.relay.catch_up().await,
                Action::CatchUp => continue,
                Action::SignalLeader => {
                    self.signals.send(Signal::Recorded);
                    continue;
                }
            };
            match outcome {
                Ok(outcome) => self.update_status(&outcome),
                Err(error) => self.back_off(&error),
            }
        }
        if let Err(error) = self.relay.shut_down().await {
            tracing::warn!(%error, "publisher stopped with pending events; the next start publishes them");
        }
    }

    /// Returns `None` when the actor stops.
    async fn next_action(&mut self) -> Option<Action> {
        let connection = self.relay.connection().cloned();
        loop {
            let works = self.failures == 0;
            let signal = tokio::select! {
                () = self.stop.notified() => return None,
                _ = self.poll.tick() => return Some(Action::Publish),
                () = connection_changed(connection.as_ref(), self.epoch) => return Some(Action::Publish),
                () = self.relay.sender.erasure.wait(), if works => return Some(Action::Publish),
                () = self.wake.notified(), if works => None,
                signal = self.signals.received(), if works => Some(signal),
            };
            let role = self.status().role;
            if let Some(action) = Action::after(signal, role) {
                return Some(action);
            }
        }
    }

    fn update_status(&mut self, outcome: &PassOutcome) {
        self.failures = 0;
        if outcome.more {
            self.poll.reset_immediately();
        }
        if outcome.last_position.is_some() {
            self.signals.send(Signal::Published);
        }
        let mut status = self.status();
        if status.last_error.take().is_some() {
            tracing::info!("publishing resumed");
        }
        status.role = Some(outcome.role);
        status.published += outcome.published as u64;
        if let Some(position) = outcome.last_position {
            status.last_published = Some(LastPublished { position, at: self.relay.clock.now() });
        }
    }

    /// Logs a failure when it differs from the one before.
    fn back_off(&mut self, error: &OutboxError) {
        self.failures = self.failures.saturating_add(1);
        self.poll.reset_after(self.relay.settings.backoff.delay(self.failures, &self.rng));
        let error = error.to_string();
        let mut status = self.status();
        if status.last_error.as_ref() != Some(&error) {
            tracing::warn!(error, "publishing failed; it will be retried");
        }
        status.last_error = Some(error);
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Never returns without NATS.
async fn connection_changed(connection: Option<&ConnectionState>, epoch: u64) {
    match connection {
        Some(connection) => connection.changed_since(epoch).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_leader_publishes_and_a_follower_with_new_events_signals_the_leader() {
        let (leader, follower, disconnected) = (Some(Role::Leader), Some(Role::Follower), Some(Role::Disconnected));
        let (recorded, published) = (Some(Signal::Recorded), Some(Signal::Published));
        for (signal, role, action) in [
            (None, None, Some(Action::Publish)),
            (None, leader, Some(Action::Publish)),
            (None, follower, Some(Action::SignalLeader)),
            (None, disconnected, None),
            (recorded, leader, Some(Action::Publish)),
            (recorded, follower, None),
            (recorded, None, None),
            (published, leader, None),
            (published, follower, Some(Action::CatchUp)),
            (published, disconnected, None),
        ] {
            assert_eq!(Action::after(signal, role), action, "{signal:?} {role:?}");
        }
    }
}
