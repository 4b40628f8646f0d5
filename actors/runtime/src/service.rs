//! The actor of a module that owns nothing but its requests in progress: it runs each as a task of its own.

use std::{future::Future, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{Actor, BackgroundTask, BackgroundTaskStatus, ChildSpec, Handle, Message, ReplyTo, TaskSet};

/// Use cases, each a method that [`answer_with_service!`](crate::answer_with_service) names. It outlives its actor.
pub trait Service: Send + Sync + Sized + 'static {
    /// The actor's name in logs, metrics and status.
    const NAME: &'static str;
    /// The most requests queued or in progress. Beyond it, requests fail as busy.
    const CAPACITY: usize;
    /// The longest that a caller waits.
    const DEADLINE: Duration = Duration::from_secs(10);

    /// What is observable beside the requests: counts and times, nothing about people.
    type Status: Serialize + JsonSchema + Send + 'static;

    /// Returns what is observable beside the requests.
    fn status(&self) -> Self::Status;

    /// Starts what runs periodically, at each start of the actor.
    fn background_tasks(self: &Arc<Self>) -> Vec<BackgroundTask> {
        Vec::new()
    }
}

/// Runs each request to a [`Service`] as a task of its own. Restarted, it goes on with the same service.
pub struct ServiceActor<S> {
    service: Arc<S>,
    tasks: TaskSet,
    background_tasks: Vec<BackgroundTask>,
}

/// The observable state of a [`ServiceActor`].
#[derive(Debug, Serialize, JsonSchema)]
pub struct ServiceStatus<T> {
    /// Requests in progress.
    pub in_progress: usize,
    /// Requests that panicked since the actor started.
    pub panics: u64,
    /// What runs periodically.
    pub background_tasks: Vec<BackgroundTaskStatus>,
    /// What the service shows.
    #[serde(flatten)]
    pub service: T,
}

impl<S: Service> ServiceActor<S> {
    /// Returns the handle, and the actor to supervise.
    pub fn new(service: Arc<S>) -> (Handle<Self>, ChildSpec) {
        let handle = Handle::new(S::NAME, S::CAPACITY, S::DEADLINE);
        let child = ChildSpec::ready(handle.clone(), move || Self {
            background_tasks: service.background_tasks(),
            service: Arc::clone(&service),
            tasks: TaskSet::default(),
        });
        (handle, child)
    }

    /// Replies with what `work` returns. It is carried through although its caller has gone, unless it then still waits to write.
    pub fn run<M: Message, F>(&mut self, reply: ReplyTo<M>, work: impl FnOnce(Arc<S>) -> F)
    where
        F: Future<Output = Result<M::Output, M::Error>> + Send + 'static,
    {
        self.tasks.spawn_reply(reply, work(Arc::clone(&self.service)));
    }

    /// As [`run`](Self::run), but drops the work when the caller has gone: for work that waits in another actor's queue.
    pub fn run_while_awaited<M: Message, F>(&mut self, reply: ReplyTo<M>, work: impl FnOnce(Arc<S>) -> F)
    where
        F: Future<Output = Result<M::Output, M::Error>> + Send + 'static,
    {
        self.tasks.spawn_while_awaited(reply, work(Arc::clone(&self.service)));
    }

    /// The background task of this name.
    pub fn background_task(&self, name: &str) -> Option<&BackgroundTask> {
        self.background_tasks.iter().find(|task| task.name() == name)
    }
}

impl<S: Service> Actor for ServiceActor<S> {
    type Status = ServiceStatus<S::Status>;

    fn status(&self) -> Self::Status {
        ServiceStatus {
            in_progress: self.tasks.len(),
            panics: self.tasks.panics(),
            background_tasks: self.background_tasks.iter().map(BackgroundTask::status).collect(),
            service: self.service.status(),
        }
    }

    async fn on_stop(&mut self) {
        self.tasks.join_all().await;
    }
}

/// Lets the actor of a [`Service`] answer each message with a method of the service, in a task of its own.
#[macro_export]
macro_rules! answer_with_service {
    ($service:ty; $($message:ty => $method:ident,)+) => {
        $(impl $crate::Handler<$message> for $crate::ServiceActor<$service> {
            fn handle(&mut self, message: $message, reply: $crate::ReplyTo<$message>) {
                self.run(reply, |service| async move { service.$method(message).await });
            }
        })+
    };
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        task::Poll,
    };

    use faceofmind_base::{Clock, Rng, begin_write};
    use tokio::sync::Notify;

    use super::*;
    use crate::{AskError, Handler, MAX_QUEUED, RestartPolicy, Supervisor, SupervisorHandle, SupervisorSpec, messages};

    #[derive(Default)]
    struct Doors {
        entered: Notify,
        open: Notify,
        left: Notify,
        wrote: AtomicBool,
    }

    struct Enter;
    struct EnterWhileAwaited;
    /// Waits, then writes.
    struct Write;
    /// As `Write`, with a caller that waits.
    struct WritePatiently;
    /// Writes, then waits.
    struct WriteSlowly;

    messages! {
        Error = AskError;
        Enter => (), within Duration::from_millis(20);
        EnterWhileAwaited => (), within Duration::from_millis(20);
        Write => (), within Duration::from_millis(20);
        WritePatiently => ();
        WriteSlowly => (), within Duration::from_millis(20);
    }

    #[derive(Serialize, JsonSchema)]
    struct Status {
        is_open: bool,
    }

    impl Doors {
        async fn enter(&self, _: Enter) -> Result<(), AskError> {
            self.entered.notify_one();
            self.open.notified().await;
            self.left.notify_one();
            Ok(())
        }

        async fn write(&self, _: Write) -> Result<(), AskError> {
            self.enter(Enter).await?;
            self.wrote.store(begin_write(), Ordering::Relaxed);
            Ok(())
        }

        async fn write_patiently(&self, _: WritePatiently) -> Result<(), AskError> {
            self.write(Write).await
        }

        async fn write_slowly(&self, _: WriteSlowly) -> Result<(), AskError> {
            self.wrote.store(begin_write(), Ordering::Relaxed);
            self.enter(Enter).await
        }
    }

    impl Service for Doors {
        const NAME: &str = "doors";
        const CAPACITY: usize = 2;
        type Status = Status;

        fn status(&self) -> Status {
            Status { is_open: true }
        }
    }

    answer_with_service! {
        Doors;
        Enter => enter,
        Write => write,
        WritePatiently => write_patiently,
    }

    impl Handler<WriteSlowly> for ServiceActor<Doors> {
        fn handle(&mut self, message: WriteSlowly, reply: ReplyTo<WriteSlowly>) {
            self.run_while_awaited(reply, |doors| async move { doors.write_slowly(message).await });
        }
    }

    impl Handler<EnterWhileAwaited> for ServiceActor<Doors> {
        fn handle(&mut self, _: EnterWhileAwaited, reply: ReplyTo<EnterWhileAwaited>) {
            self.run_while_awaited(reply, |doors| async move { doors.enter(Enter).await });
        }
    }

    async fn doors() -> (Arc<Doors>, Handle<ServiceActor<Doors>>, SupervisorHandle) {
        let doors = Arc::new(Doors::default());
        let (handle, child) = ServiceActor::new(Arc::clone(&doors));
        let (clock, rng) = (Clock::system(), Rng::seeded(1));
        let spec = SupervisorSpec { children: vec![child], policy: RestartPolicy::default(), clock, rng };
        (doors, handle, Supervisor::start(spec).await.expect("starts"))
    }

    #[tokio::test]
    async fn a_request_is_carried_through_although_its_caller_has_gone_and_a_stop_waits_for_it() {
        let (doors, handle, tree) = doors().await;
        assert_eq!(handle.ask(Enter).await, Err(AskError::TimedOut("doors")));
        doors.entered.notified().await;
        let status = tree.children()[0].status().await.expect("answers");
        assert_eq!((&status["in_progress"], &status["is_open"]), (&1.into(), &true.into()), "{status}");
        let stopping = tokio::spawn(async move { tree.stop(Duration::from_secs(10)).await });
        doors.open.notify_one();
        stopping.await.expect("stops");
        doors.left.notified().await;
    }

    #[tokio::test]
    async fn a_request_that_still_waits_at_its_deadline_never_writes() {
        let (doors, handle, tree) = doors().await;
        assert_eq!(handle.ask(Write).await, Err(AskError::TimedOut("doors")));
        doors.open.notify_one();
        doors.left.notified().await;
        tree.stop(Duration::from_secs(10)).await;
        assert!(!doors.wrote.load(Ordering::Relaxed), "the caller was answered that nothing was done");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waited_too_long_in_the_mailbox_never_writes() {
        let (doors, handle, tree) = doors().await;
        for (waited, outcome) in
            [(MAX_QUEUED + Duration::from_millis(1), Err(AskError::TimedOut("doors"))), (MAX_QUEUED, Ok(()))]
        {
            doors.open.notify_one();
            let mut asked = std::pin::pin!(handle.ask(WritePatiently));
            let is_waiting =
                std::future::poll_fn(|context| Poll::Ready(asked.as_mut().poll(context).is_pending())).await;
            assert!(is_waiting);
            tokio::time::advance(waited).await;
            assert_eq!(asked.await, outcome);
            assert_eq!(doors.wrote.load(Ordering::Relaxed), outcome.is_ok(), "the caller was answered {outcome:?}");
        }
        tree.stop(Duration::from_secs(10)).await;
    }

    #[tokio::test]
    async fn a_write_that_has_begun_is_waited_for_beyond_the_deadline() {
        let (doors, handle, tree) = doors().await;
        let asked = tokio::spawn({
            let handle = handle.clone();
            async move { handle.ask(WriteSlowly).await }
        });
        doors.entered.notified().await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert!(!asked.is_finished() && doors.wrote.load(Ordering::Relaxed));
        doors.open.notify_one();
        assert_eq!(asked.await.expect("no panic"), Ok(()));
        tree.stop(Duration::from_secs(10)).await;
    }

    #[tokio::test]
    async fn a_write_that_dies_has_an_unknown_outcome() {
        let (doors, handle, tree) = doors().await;
        let asked = tokio::spawn({
            let handle = handle.clone();
            async move { handle.ask(WriteSlowly).await }
        });
        doors.entered.notified().await;
        tree.stop(Duration::ZERO).await;
        assert_eq!(asked.await.expect("no panic"), Err(AskError::OutcomeUnknown("doors")));
    }

    #[tokio::test]
    async fn a_request_that_waits_elsewhere_is_dropped_with_its_caller() {
        let (doors, handle, tree) = doors().await;
        assert_eq!(handle.ask(EnterWhileAwaited).await, Err(AskError::TimedOut("doors")));
        doors.entered.notified().await;
        while handle.queue_len() > 0 {
            tokio::task::yield_now().await;
        }
        doors.open.notify_one();
        tree.stop(Duration::from_secs(10)).await;
        assert!(tokio::time::timeout(Duration::from_millis(20), doors.left.notified()).await.is_err(), "it never left");
    }
}
