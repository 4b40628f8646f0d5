//! The actor: which users have an export in progress.

use std::{collections::HashSet, time::Duration};

use faceofmind_base::Clock;
use faceofmind_db::{
    Database, Snapshot,
    export::{ExportAborted, FinalChunk, JsonWriter},
};
use faceofmind_model::UserId;
use faceofmind_platform::encryption::Keyring;
use faceofmind_runtime::{Actor, AskError, ChildSpec, Handle, Handler, ReplyTo, TaskSet};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::timeout;

use super::{
    contents,
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
        Self { max_concurrent: 2, timeout: Duration::from_secs(600) }
    }
}

/// What an export needs.
#[derive(Clone)]
pub struct Deps {
    /// Holds the data.
    pub db: Database,
    /// Decrypts the texts.
    pub keyring: Keyring,
    /// Dates the document.
    pub clock: Clock,
}

/// The actor's observable state.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Exports in progress.
    pub in_progress: usize,
    /// Exports that panicked since the actor started.
    pub panics: u64,
}

/// The actor.
pub struct Exporter {
    settings: Settings,
    deps: Deps,
    handle: Handle<Self>,
    users: HashSet<UserId>,
    /// Not awaited at a stop: an export that is still being read is truncated.
    tasks: TaskSet,
}

impl Exporter {
    /// Returns the handle, and the actor to supervise.
    pub fn new(settings: Settings, deps: Deps) -> (Handle<Self>, ChildSpec) {
        let handle = Handle::new(NAME, CAPACITY, DEADLINE);
        let own = handle.clone();
        let child = ChildSpec::ready(handle.clone(), move || Self {
            settings,
            deps: deps.clone(),
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
            Ok(guard) => self.tasks.spawn(run(self.deps.clone(), self.settings.timeout, guard, reply)),
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
async fn run(deps: Deps, max_time: Duration, guard: ExportGuard, reply: ReplyTo<Export>) {
    let snapshot = match deps.db.snapshot().await {
        Ok(snapshot) => snapshot,
        Err(error) => return reply.send(Err(error.into())),
    };
    let (writer, stream) = JsonWriter::open();
    let user = guard.user;
    reply.send(Ok(stream));
    match timeout(max_time, write(&deps, user, snapshot, writer)).await {
        Ok(Ok(last)) => finish(last, guard).await,
        Ok(Err(ExportAborted::ReaderGone)) => tracing::info!("export aborted: its reader has gone"),
        Ok(Err(ExportAborted::Store(error))) => tracing::error!(%error, "export truncated: the data could not be read"),
        Err(_) => tracing::warn!("export truncated: its reader took too long"),
    }
}

async fn write(
    deps: &Deps,
    user: UserId,
    mut snapshot: Snapshot,
    mut writer: JsonWriter,
) -> Result<FinalChunk, ExportAborted> {
    contents::write(&mut snapshot, &deps.keyring, (user, deps.clock.now()), &mut writer).await?;
    snapshot.close().await?;
    Ok(writer.close())
}

/// Frees the user's place before the reader sees the end, so that the reader may ask again at once.
async fn finish(last: FinalChunk, guard: ExportGuard) {
    drop(guard);
    if last.send().await.is_err() {
        tracing::info!("export aborted: its reader has gone");
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
