//! Work that an actor has begun and does not wait for.

use std::{
    future::Future,
    pin::{Pin, pin},
};

use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::{Caller, FairGate, Message, ReplyTo};

/// The tasks of one actor. They end with it, so a caller that waits for a reply hears at once when the actor dies.
#[derive(Debug, Default)]
pub struct TaskSet {
    running: JoinSet<()>,
    panics: u64,
}

impl TaskSet {
    /// Spawns `work` outside of any span. Work of one request instruments itself with the span of its reply: the message at hand may only be
    /// what happened to start the work of others, whose log lines would carry its request id.
    pub fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.spawn_boxed(Box::pin(work));
    }

    /// Spawns `work` in the request's span and replies with its result. The request keeps its place in the mailbox until then.
    pub fn spawn_reply<M: Message>(
        &mut self,
        reply: ReplyTo<M>,
        work: impl Future<Output = Result<M::Output, M::Error>> + Send + 'static,
    ) {
        let (span, work) = (reply.span().clone(), reply.gate().clone().scope(work));
        self.spawn_boxed(Box::pin(async move { reply.send(work.await) }.instrument(span)));
    }

    /// As [`spawn_reply`](Self::spawn_reply), but drops the work when the caller has gone and it has not begun to write: for work that waits in
    /// another actor's queue.
    pub fn spawn_while_awaited<M: Message>(
        &mut self,
        mut reply: ReplyTo<M>,
        work: impl Future<Output = Result<M::Output, M::Error>> + Send + 'static,
    ) {
        let (span, gate) = (reply.span().clone(), reply.gate().clone());
        let awaited = async move {
            let mut work = pin!(gate.clone().scope(work));
            let result = tokio::select! {
                result = &mut work => result,
                () = reply.closed() => {
                    if gate.withdraw() {
                        return;
                    }
                    work.await
                }
            };
            reply.send(result);
        };
        self.spawn_boxed(Box::pin(awaited.instrument(span)));
    }

    /// As [`spawn_reply`](Self::spawn_reply), but the work begins when `gate` lets the caller pass. A caller that has gone by then is dropped.
    pub fn spawn_behind<M: Message>(
        &mut self,
        (gate, caller): (&FairGate, Caller),
        mut reply: ReplyTo<M>,
        work: impl Future<Output = Result<M::Output, M::Error>> + Send + 'static,
    ) {
        let (span, gate) = (reply.span().clone(), gate.clone());
        let read = async move {
            let pass = tokio::select! {
                pass = gate.pass(caller) => pass,
                () = reply.closed() => return,
            };
            match pass {
                Ok(_pass) => reply.send(work.await),
                Err(refused) => reply.send(Err(refused.into())),
            }
        };
        self.spawn_boxed(Box::pin(read.instrument(span)));
    }

    /// Futures that query a database are large: boxed, they are moved once, and all have one type for the scheduler.
    fn spawn_boxed(&mut self, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.reap_finished();
        self.running.spawn(work);
    }

    /// The number of running tasks.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether no task is running.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// The number of tasks that have panicked since the actor started. Each failed its own request and no other.
    pub fn panics(&self) -> u64 {
        self.panics
    }

    /// Waits until every task has ended.
    pub async fn join_all(&mut self) {
        while let Some(ended) = self.running.join_next().await {
            self.count_panic(&ended);
        }
    }

    fn reap_finished(&mut self) {
        while let Some(ended) = self.running.try_join_next() {
            self.count_panic(&ended);
        }
    }

    fn count_panic(&mut self, ended: &Result<(), tokio::task::JoinError>) {
        self.panics += u64::from(ended.as_ref().is_err_and(tokio::task::JoinError::is_panic));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    };

    use tracing::{Event, Metadata, Subscriber, span};

    use super::*;

    /// Counts the spans that are entered, and keeps the count at the last event.
    #[derive(Clone, Default)]
    struct Depth(Arc<[AtomicI64; 2]>);

    impl Subscriber for Depth {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, _: &Event<'_>) {
            self.0[1].store(self.0[0].load(Ordering::Relaxed), Ordering::Relaxed);
        }
        fn enter(&self, _: &span::Id) {
            self.0[0].fetch_add(1, Ordering::Relaxed);
        }
        fn exit(&self, _: &span::Id) {
            self.0[0].fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn work_is_not_logged_under_the_request_at_hand_but_under_its_own() {
        let depth = Depth::default();
        let _guard = tracing::subscriber::set_default(depth.clone());
        let mut tasks = TaskSet::default();
        let request = tracing::info_span!("request");
        for (own, expected) in [(tracing::Span::none(), 0), (tracing::info_span!("own"), 1)] {
            let work = async { tracing::info!("worked") };
            request.in_scope(|| tasks.spawn(work.instrument(own)));
            depth.0[1].store(-1, Ordering::Relaxed);
            tasks.join_all().await;
            assert_eq!(depth.0[1].load(Ordering::Relaxed), expected);
        }
    }
}
