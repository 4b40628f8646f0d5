//! The actor: deletes the rows that have lapsed, of each module that lists a sweep.

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_db::{StoreError, Tx};
use faceofmind_domain::accounts::HookFuture;
use faceofmind_platform::Platform;
use faceofmind_runtime::{Actor, BackgroundTask, BackgroundTaskStatus, ChildSpec, Handle};
use schemars::JsonSchema;
use serde::Serialize;

const NAME: &str = "sweeper";
const INTERVAL: Duration = Duration::from_secs(3600);
/// For its status.
const DEADLINE: Duration = Duration::from_secs(10);

/// Deletes rows that have lapsed, a portion in each transaction, and returns how many.
pub(crate) type Sweep = for<'a> fn(&'a mut Tx, Timestamp) -> HookFuture<'a, u64>;

/// The actor's observable state.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Status {
    pub sweeps: Vec<BackgroundTaskStatus>,
}

/// The actor. It takes no messages.
pub(crate) struct Sweeper {
    sweeps: Vec<BackgroundTask>,
}

impl Sweeper {
    /// Returns the actor to supervise. It runs these sweeps, each under its name.
    pub(crate) fn child(sweeps: Vec<(&'static str, Sweep)>, platform: Platform) -> ChildSpec {
        ChildSpec::ready(Handle::<Self>::new(NAME, 1, DEADLINE), move || Self {
            sweeps: sweeps.iter().map(|&(name, sweep)| spawn(name, sweep, &platform)).collect(),
        })
    }
}

impl Actor for Sweeper {
    type Status = Status;

    fn status(&self) -> Status {
        Status { sweeps: self.sweeps.iter().map(BackgroundTask::status).collect() }
    }
}

fn spawn(name: &'static str, sweep: Sweep, platform: &Platform) -> BackgroundTask {
    let time = (platform.clock.clone(), platform.rng.clone());
    BackgroundTask::spawn(name, INTERVAL, time, platform.clone(), move |platform| run(sweep, platform))
}

async fn run(sweep: Sweep, Platform { db, clock, .. }: Platform) -> Result<(), StoreError> {
    loop {
        let mut tx = db.begin().await?;
        let deleted = sweep(&mut tx, clock.now()).await?;
        tx.commit().await?;
        if deleted == 0 {
            return Ok(());
        }
    }
}
