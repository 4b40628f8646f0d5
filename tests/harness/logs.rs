//! The log of all services in this process, captured for assertions.

use std::{
    env, io,
    sync::{Mutex, Once, PoisonError},
};

use tracing_subscriber::{EnvFilter, Layer, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt};

use super::statements::StatementRecorder;

static LINES: Mutex<String> = Mutex::new(String::new());

/// Starts to capture the log, once. Prints it too if `RUST_LOG` is set.
pub(crate) fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = EnvFilter::new("info,faceofmind=debug");
        let log = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(CaptureWriter).with_filter(filter);
        tracing_subscriber::registry()
            .with(log)
            .with(StatementRecorder.with_filter(StatementRecorder::filter()))
            .init();
    });
}

/// Whether one line contains all of these.
pub(crate) fn contain(parts: &[&str]) -> bool {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.lines().any(|line| parts.iter().all(|part| line.contains(part)))
}

/// The first line that contains this.
pub(crate) fn line_with(text: &str) -> Option<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.lines().find(|line| line.contains(text)).map(str::to_owned)
}

struct CaptureWriter;

impl<'a> MakeWriter<'a> for CaptureWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl io::Write for CaptureWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
        if env::var_os("RUST_LOG").is_some() {
            eprint!("{text}");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
