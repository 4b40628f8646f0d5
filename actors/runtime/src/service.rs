//! The actor of a module that owns nothing but its requests in progress: it runs each as a task of its own.

use std::{future::Future, ops::Deref, sync::Arc, time::Duration};

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

    /// Replies with what `work` returns. It is carried through although its caller has gone.
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

    /// The background tasks, in the order in which the service starts them.
    pub fn background_tasks(&self) -> &[BackgroundTask] {
        &self.background_tasks
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

impl<T> Deref for ServiceStatus<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.service
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
