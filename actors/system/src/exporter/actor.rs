//! The actor: which users have an export in progress.

use std::{collections::HashSet, sync::Arc, time::Duration};

use faceofmind_db::export::{ExportAborted, FinalChunk, JsonWriter};
use faceofmind_model::UserId;
use faceofmind_platform::Platform;
use faceofmind_runtime::{Actor, AskError, ChildSpec, Handle, Handler, ReplyTo, TaskSet};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::{
    contents::{Contents, ModuleExport},
    messages::{Ended, Export, ExportError},
};

const NAME: &str = "exporter";
const CAPACITY: usize = 256;
const DEADLINE: Duration = Duration::from_secs(10);

/// The bounds of exports.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most exports in progress, of all users. Each has a database connection beside the pool.
    pub max_concurrent: usize,
    /// The longest that one export may take. A slower reader gets a truncated document.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_concurrent: 4, timeout: Duration::from_secs(600) }
    }
}

/// The actor's observable state.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Exports in progress.
    pub in_progress: usize,
    /// Exports that panicked since the actor started.
    pub panics: u64,
}

pub struct Exporter {
    settings: Settings,
    contents: Arc<Contents>,
    handle: Handle<Self>,
    users: HashSet<UserId>,
    /// Not awaited at a stop: an export that is still being read is truncated.
    tasks: TaskSet,
}

impl Exporter {
    /// Returns the handle, and the actor to supervise. An export lists what these modules write, in this order.
    pub fn new(settings: Settings, modules: Vec<ModuleExport>, deps: Platform) -> (Handle<Self>, ChildSpec) {
        let handle = Handle::new(NAME, CAPACITY, DEADLINE);
        let (own, contents) = (handle.clone(), Arc::new(Contents { modules, deps }));
        let child = ChildSpec::ready(handle.clone(), move || Self {
            settings,
            contents: Arc::clone(&contents),
            handle: own.clone(),
            users: HashSet::new(),
            tasks: TaskSet::default(),
        });
        (handle, child)
    }

    fn admit(&mut self, user: UserId) -> Result<ExportGuard, ExportError> {
        if self.users.contains(&user) {
            return Err(ExportError::InProgress);
        }
        if self.users.len() >= self.settings.max_concurrent {
            return Err(AskError::Busy(NAME).into());
        }
        self.users.insert(user);
        Ok(ExportGuard { user, handle: self.handle.clone() })
    }
}

impl Actor for Exporter {
    type Status = Status;

    fn status(&self) -> Status {
        Status { in_progress: self.users.len(), panics: self.tasks.panics() }
    }
}

impl Handler<Export> for Exporter {
    fn handle(&mut self, Export { user }: Export, reply: ReplyTo<Export>) {
        match self.admit(user) {
            Ok(guard) => {
                let span = reply.span().clone();
                let export = run(Arc::clone(&self.contents), self.settings.timeout, guard, reply);
                self.tasks.spawn(export.instrument(span));
            }
            Err(error) => reply.send(Err(error)),
        }
    }
}

impl Handler<Ended> for Exporter {
    fn handle(&mut self, Ended { user }: Ended, _: ReplyTo<Ended>) {
        self.users.remove(&user);
    }
}

/// Replies with the reader's end, then writes.
async fn run(contents: Arc<Contents>, max_time: Duration, guard: ExportGuard, reply: ReplyTo<Export>) {
    let snapshot = match contents.deps.db.snapshot().await {
        Ok(snapshot) => snapshot,
        Err(error) => return reply.send(Err(error.into())),
    };
    let (writer, stream) = JsonWriter::open();
    let user = guard.user;
    reply.send(Ok(stream));
    match timeout(max_time, contents.write(user, snapshot, writer)).await {
        Ok(Ok(last)) => finish(last, guard).await,
        Ok(Err(ExportAborted::ReaderGone)) => tracing::info!("export aborted: its reader has gone"),
        Ok(Err(error @ ExportAborted::ReaderTooSlow)) => tracing::info!(%error, "export truncated"),
        Ok(Err(ExportAborted::Store(error))) => tracing::error!(%error, "export truncated: the data could not be read"),
        Err(_) => tracing::warn!("export truncated: its reader took too long"),
    }
}

/// Frees the user's place before the reader sees the end, so that the reader may ask again at once.
async fn finish(last: FinalChunk, guard: ExportGuard) {
    drop(guard);
    if let Err(error) = last.send().await {
        tracing::info!(%error, "export aborted");
    }
}

/// Held by an export in progress. Dropping it tells the actor that the export has ended.
struct ExportGuard {
    user: UserId,
    handle: Handle<Exporter>,
}

impl Drop for ExportGuard {
    fn drop(&mut self) {
        self.handle.tell(Ended { user: self.user });
    }
}
