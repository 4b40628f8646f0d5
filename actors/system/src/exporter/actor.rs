//! The actor: which exports are in progress.

use std::{sync::Arc, time::Duration};

use faceofmind_db::export::{ExportAborted, FinalChunk, JsonWriter};
use faceofmind_model::UserId;
use faceofmind_platform::{Platform, caller};
use faceofmind_runtime::{Actor, AskError, ChildSpec, FairGate, GatePass, Handle, Handler, ReplyTo, TaskSet};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::{
    contents::{Contents, ModuleExport},
    messages::{Export, ExportError},
};

const NAME: &str = "exporter";
const CAPACITY: usize = 256;
/// The most exports that wait. Of more, the newest of the user with most gives way, so that one user does not fill the mailbox.
const MAX_WAITING: usize = 32;
const DEADLINE: Duration = Duration::from_secs(10);

/// How often an export looks whether others wait for its place.
const GIVES_WAY_INTERVAL: Duration = Duration::from_millis(100);

/// The bounds of exports.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most exports in progress, of all users. Each has a database connection beside the pool.
    pub max_concurrent: usize,
    /// The longest that one export may take. A slower reader gets a truncated document.
    pub timeout: Duration,
    /// An export that takes longer gives way when all places are taken and another user waits, so that slow readers do not hold them.
    pub gives_way_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_concurrent: 4, timeout: Duration::from_secs(600), gives_way_after: Duration::from_secs(30) }
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
    /// One export of each user passes at a time. A user who asks again waits a moment, so that a client which asks without a pause costs little.
    gate: FairGate,
    /// Not awaited at a stop: an export that is still being read is truncated.
    tasks: TaskSet,
}

impl Exporter {
    /// Returns the handle, and the actor to supervise. An export lists what these modules write, in this order.
    pub fn new(settings: Settings, modules: Vec<ModuleExport>, deps: Platform) -> (Handle<Self>, ChildSpec) {
        let (handle, contents) = (Handle::new(NAME, CAPACITY, DEADLINE), Arc::new(Contents { modules, deps }));
        let child = ChildSpec::ready(handle.clone(), move || Self {
            settings,
            contents: Arc::clone(&contents),
            gate: FairGate::with_share(NAME, settings.max_concurrent, 1, MAX_WAITING),
            tasks: TaskSet::default(),
        });
        (handle, child)
    }
}

impl Actor for Exporter {
    type Status = Status;

    fn status(&self) -> Status {
        Status { in_progress: self.gate.taken(), panics: self.tasks.panics() }
    }
}

impl Handler<Export> for Exporter {
    fn handle(&mut self, Export { user }: Export, mut reply: ReplyTo<Export>) {
        let (contents, gate, settings) = (Arc::clone(&self.contents), self.gate.clone(), self.settings);
        let span = reply.span().clone();
        let export = async move {
            let passed = tokio::select! {
                passed = pass(&gate, user) => passed,
                () = reply.closed() => return,
            };
            match passed {
                Ok(pass) => {
                    tokio::select! {
                        () = run(contents, settings.timeout, (user, pass), reply) => {}
                        () = gives_way(&gate, settings.gives_way_after) => {
                            tracing::info!("export truncated: its reader is slow, and other users wait");
                        }
                    }
                }
                Err(error) => reply.send(Err(error)),
            }
        };
        self.tasks.spawn(export.instrument(span));
    }
}

/// Waits until an export of the user may begin, for a moment.
async fn pass(gate: &FairGate, user: UserId) -> Result<GatePass, ExportError> {
    let caller = caller::user(user);
    gate.pass_soon(caller.clone()).await.map_err(|_| {
        if gate.has_given_share_to(&caller) { ExportError::InProgress } else { AskError::Busy(NAME).into() }
    })
}

/// Returns when an export has taken that long and another user waits for its place.
async fn gives_way(gate: &FairGate, after: Duration) {
    tokio::time::sleep(after).await;
    while !gate.is_full_for_others() {
        tokio::time::sleep(GIVES_WAY_INTERVAL).await;
    }
}

/// Replies with the reader's end, then writes.
async fn run(contents: Arc<Contents>, max_time: Duration, (user, pass): (UserId, GatePass), reply: ReplyTo<Export>) {
    let snapshot = match contents.deps.db.snapshot().await {
        Ok(snapshot) => snapshot,
        Err(error) => return reply.send(Err(error.into())),
    };
    let (writer, stream) = JsonWriter::open();
    reply.send(Ok(stream));
    match timeout(max_time, contents.write(user, snapshot, writer)).await {
        Ok(Ok(last)) => finish(last, pass).await,
        Ok(Err(ExportAborted::ReaderGone)) => tracing::info!("export aborted: its reader has gone"),
        Ok(Err(error @ ExportAborted::ReaderTooSlow)) => tracing::info!(%error, "export truncated"),
        Ok(Err(ExportAborted::Store(error))) => tracing::error!(%error, "export truncated: the data could not be read"),
        Err(_) => tracing::warn!("export truncated: its reader took too long"),
    }
}

/// Frees the user's place before the reader sees the end, so that the reader may ask again at once.
async fn finish(last: FinalChunk, pass: GatePass) {
    drop(pass);
    if let Err(error) = last.send().await {
        tracing::info!(%error, "export aborted");
    }
}
