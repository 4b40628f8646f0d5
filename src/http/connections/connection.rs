//! What the parts of one connection share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use salvo::http::Version;

/// One connection: its requests, counted by [`super::requests`] and read by its stream.
#[derive(Debug)]
pub(super) struct Connection {
    /// Requests whose head was read, from the first on.
    begun: AtomicUsize,
    /// Those whose response is not sent to its end.
    in_progress: AtomicUsize,
    is_http2: AtomicBool,
    turn: AtomicU64,
    /// Whether a response ended before its end.
    is_cut: AtomicBool,
}

/// Counts the moments in which connections begin and become idle.
static TURNS: AtomicU64 = AtomicU64::new(0);

/// A request in progress. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct RunningRequest(Arc<Connection>);

impl Default for Connection {
    fn default() -> Self {
        let turn = TURNS.fetch_add(1, Ordering::Relaxed).into();
        Self {
            begun: AtomicUsize::new(0),
            in_progress: AtomicUsize::new(0),
            is_http2: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            turn,
        }
    }
}

impl Connection {
    /// Counts a request.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> RunningRequest {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.in_progress.fetch_add(1, Ordering::Relaxed);
        if version >= Version::HTTP_2 {
            self.expect_http2();
        }
        RunningRequest(Arc::clone(self))
    }

    /// Notes that the client speaks HTTP/2, in which bytes between requests begin no head.
    pub(super) fn expect_http2(&self) {
        self.is_http2.store(true, Ordering::Relaxed);
    }

    /// How many requests have begun.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether no request is in progress.
    pub(super) fn is_idle(&self) -> bool {
        self.in_progress.load(Ordering::Relaxed) == 0
    }

    /// When the connection began or last ended a request; a smaller number is earlier.
    pub(super) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Relaxed)
    }

    /// Whether a response ended before its end.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    /// Whether the client speaks HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.is_http2.load(Ordering::Relaxed)
    }
}

impl RunningRequest {
    /// Notes that the response ends before its end.
    pub(super) fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Relaxed);
    }
}

impl Drop for RunningRequest {
    fn drop(&mut self) {
        self.0.turn.store(TURNS.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        self.0.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}
