//! Rate, times and outcomes of each message type, counted in one place for every actor.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Upper bounds of the time histograms, in seconds.
const BUCKETS: [f64; 11] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// Upper bounds of the histogram of batch sizes.
const BATCH_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// The actor did what was asked.
    Ok,
    /// The actor answered with an error.
    Refused,
    /// The mailbox was full.
    Busy,
    /// The actor was not running.
    Unavailable,
    /// The deadline passed before anything was written.
    TimedOut,
    /// The actor, or the task that worked for it, died before it replied.
    Panicked,
    /// A write had begun, and its end did not come in time.
    Unknown,
    /// The caller went away before the reply.
    Abandoned,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActorLabels {
    actor: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabels {
    actor: &'static str,
    message: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    actor: &'static str,
    message: &'static str,
    outcome: Outcome,
}

/// The metrics of all messages of one supervised tree. Clones share them.
#[derive(Clone, Debug)]
pub struct RuntimeMetrics {
    outcomes: Family<OutcomeLabels, Counter>,
    queue_time: Family<MessageLabels, Histogram, fn() -> Histogram>,
    handling_time: Family<MessageLabels, Histogram, fn() -> Histogram>,
    batch_size: Family<ActorLabels, Histogram, fn() -> Histogram>,
}

impl Default for RuntimeMetrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        Self {
            outcomes: Family::default(),
            queue_time: Family::new_with_constructor(histogram),
            handling_time: Family::new_with_constructor(histogram),
            batch_size: Family::new_with_constructor(|| Histogram::new(BATCH_BUCKETS)),
        }
    }
}

impl RuntimeMetrics {
    /// Adds the metrics to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Requests to actors by message type and outcome";
        registry.register("actor_messages", help, self.outcomes.clone());
        let help = "Time that a message waited in the mailbox";
        registry.register_with_unit("actor_message_queue", help, Unit::Seconds, self.queue_time.clone());
        let help = "Time from taking a message out of the mailbox to its reply";
        registry.register_with_unit("actor_message_handling", help, Unit::Seconds, self.handling_time.clone());
        registry.register("actor_batch_size", "Commands that one flush wrote", self.batch_size.clone());
    }

    pub(crate) fn record_batch_size(&self, actor: &'static str, size: usize) {
        self.batch_size.get_or_create(&ActorLabels { actor }).observe(size as f64);
    }

    pub(crate) fn of(&self, actor: &'static str, message: &'static str) -> MessageMetrics {
        MessageMetrics { all: self.clone(), labels: MessageLabels { actor, message } }
    }
}

/// The metrics of one message type of one actor.
#[derive(Clone, Debug)]
pub(crate) struct MessageMetrics {
    all: RuntimeMetrics,
    labels: MessageLabels,
}

impl MessageMetrics {
    pub(crate) fn queued(&self, time: Duration) {
        self.all.queue_time.get_or_create(&self.labels).observe(time.as_secs_f64());
    }

    pub(crate) fn handled(&self, time: Duration) {
        self.all.handling_time.get_or_create(&self.labels).observe(time.as_secs_f64());
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        let MessageLabels { actor, message } = self.labels;
        self.all.outcomes.get_or_create(&OutcomeLabels { actor, message, outcome }).inc();
    }
}

/// Counts the outcome of one request when it is dropped, so that a caller that goes away is counted too.
#[derive(Debug)]
pub(crate) struct OutcomeGuard {
    pub(crate) metrics: Option<MessageMetrics>,
    pub(crate) outcome: Outcome,
}

impl Drop for OutcomeGuard {
    fn drop(&mut self) {
        if let Some(metrics) = &self.metrics {
            metrics.count(self.outcome);
        }
    }
}
