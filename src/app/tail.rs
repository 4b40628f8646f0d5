//! `faceofmind events`: prints events, which changes nothing, and accepts gaps. Neither needs a running service.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::mpsc,
    thread,
};

use faceofmind_base::Timestamp;
use faceofmind_platform::outbox::{self, EventTail, OutboxError, SubjectPattern};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use super::{
    StartError, bootstrap,
    commands::{migrated_database, println_stdout},
};
use crate::settings::Settings;

/// Prints events until SIGTERM or Ctrl-C, or until the reader of standard output closes it.
pub(crate) async fn tail(
    settings: &Settings,
    subjects: SubjectPattern,
    since: Option<Timestamp>,
) -> Result<ExitCode, StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let tail = match bootstrap::nats(settings).await? {
        Some(nats) => EventTail::of_stream(nats, &subjects, since).await.map_err(StartError::Events)?,
        None => {
            let outbox = EventTail::of_outbox(migrated_database(settings).await?, subjects, since);
            outbox.await.map_err(StartError::Events)?
        }
    };
    tokio::select! {
        _ = terminate.recv() => Ok(ExitCode::SUCCESS),
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
        printed = print(tail) => printed.map(|()| ExitCode::SUCCESS).map_err(StartError::Events),
    }
}

/// Forgets the gaps of the stream.
pub(crate) async fn accept_event_gaps(settings: &Settings) -> Result<ExitCode, StartError> {
    let db = migrated_database(settings).await?;
    let accepted = outbox::accept_gaps(&db).await?;
    db.close().await;
    println_stdout(&format!("{accepted} gaps accepted"));
    Ok(ExitCode::SUCCESS)
}

async fn print(mut tail: EventTail) -> Result<(), OutboxError> {
    let printer = printer();
    loop {
        let (printed, is_printed) = oneshot::channel();
        let line = (tail.next().await?, printed);
        if printer.send(line).is_err() || is_printed.await.is_err() {
            return Ok(());
        }
    }
}

/// A line, and a channel that hears when it is printed.
type Line = (String, oneshot::Sender<()>);

/// Prints in a thread that is never joined: a full pipe blocks that thread and not the handling of signals. The thread ends when standard output is
/// closed.
fn printer() -> mpsc::Sender<Line> {
    let (printer, lines) = mpsc::channel::<Line>();
    thread::spawn(move || {
        for (line, printed) in lines {
            let mut out = io::stdout().lock();
            if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() || printed.send(()).is_err() {
                return;
            }
        }
    });
    printer
}
