//! `faceofmind events tail`: looks on, beside a service that runs or not, and changes nothing.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use faceofmind_actors::{
    publisher::{Subjects, Tail},
    schema,
};
use faceofmind_kit::{Database, Failure, Timestamp};
use tokio::signal::unix::{SignalKind, signal};

use super::{StartError, ground};
use crate::settings::{DatabaseUrl, Settings};

/// Prints events until SIGTERM or Ctrl-C, or until nobody reads them.
pub(crate) async fn tail(
    settings: &Settings,
    subjects: Subjects,
    since: Option<Timestamp>,
) -> Result<ExitCode, StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let tail = match ground::nats(settings).await? {
        Some(nats) => Tail::of_stream(nats, &subjects, since).await.map_err(StartError::Events)?,
        None => {
            let outbox = Tail::of_outbox(kept(settings).await?, subjects, since);
            outbox.await.map_err(StartError::Events)?
        }
    };
    tokio::select! {
        _ = terminate.recv() => Ok(ExitCode::SUCCESS),
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
        printed = print(tail) => printed.map(|()| ExitCode::SUCCESS).map_err(StartError::Events),
    }
}

async fn print(mut tail: Tail) -> Result<(), Failure> {
    loop {
        let event = tail.next().await?;
        let mut out = io::stdout().lock();
        if writeln!(out, "{event}").and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
    }
}

/// The database with the outbox, which is not made for this.
async fn kept(settings: &Settings) -> Result<Database, StartError> {
    if let DatabaseUrl::Sqlite(path) = settings.database_url()
        && !path.exists()
    {
        let cause = format!("there is no {} yet; `faceofmind serve` makes it", path.display());
        return Err(StartError::part("DATABASE_URL")(cause));
    }
    let db = ground::database(settings)?;
    ground::reach(&db).await?;
    if schema::status(&db).await?.iter().any(|step| !step.applied) {
        return Err(StartError::Outdated);
    }
    Ok(db)
}
