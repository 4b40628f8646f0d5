//! What is suggested, and who writes it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use faceofmind_runtime::Handle;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    actor::{SuggestionEngine, WriteLines},
    catalogue, crisis,
};

/// What suggestions are wanted for. `Debug` prints nothing of it.
#[derive(Clone)]
pub struct SuggestionRequest {
    /// The emotion, as sent.
    pub emotion: String,
    /// What the person said.
    pub words: Option<String>,
    /// The person's language, a BCP 47 tag such as `fil`. The hotlines' text and the endpoint follow it where they can.
    pub language: Option<String>,
    /// The person's time zone, an IANA name. It chooses the hotlines. Unknown: those of the Philippines.
    pub time_zone: Option<String>,
    /// Chooses among the variants of the catalogue. The same seed gives the same lines.
    pub seed: u64,
}

impl fmt::Debug for SuggestionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SuggestionRequest(..)")
    }
}

/// What is suggested. `Debug` prints no text, which may repeat what the person said.
#[derive(Clone, PartialEq, Eq)]
pub struct Advice {
    /// An acknowledgment, then four tips. In a crisis, hotlines.
    pub lines: Vec<String>,
    /// Web pages. None of the URLs holds a comma.
    pub urls: Vec<String>,
    /// Whether the person mentions suicide or self-harm.
    pub crisis: bool,
}

impl fmt::Debug for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Advice({} lines, {} urls, crisis: {})", self.lines.len(), self.urls.len(), self.crisis)
    }
}

/// Suggests. Clones share the counters.
#[derive(Clone, Debug)]
pub struct Suggestions {
    /// None where no endpoint is set.
    pub(super) engine: Option<Handle<SuggestionEngine>>,
    pub(super) counters: Arc<Counters>,
}

/// How many suggestions were made and who wrote them, since the program started.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SuggestionCounts {
    pub requests: u64,
    pub from_catalogue: u64,
    pub from_endpoint: u64,
    pub crises: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    from_catalogue: AtomicU64,
    from_endpoint: AtomicU64,
    crises: AtomicU64,
}

impl Suggestions {
    /// Suggests within 3 s, whatever the endpoint does: where it fails, the catalogue writes, and hotlines need nothing that can fail.
    pub async fn suggest(&self, request: SuggestionRequest) -> Advice {
        increment(&self.counters.requests);
        let mentions = |text: &str| crisis::mentions_self_harm(text);
        if mentions(&request.emotion) || request.words.as_deref().is_some_and(mentions) {
            increment(&self.counters.crises);
            return crisis::answer(request.time_zone.as_deref(), request.language.as_deref());
        }
        if let Some(lines) = self.from_endpoint(&request).await {
            increment(&self.counters.from_endpoint);
            return Advice { lines, urls: catalogue::urls(&request), crisis: false };
        }
        increment(&self.counters.from_catalogue);
        catalogue::advice(&request)
    }

    async fn from_endpoint(&self, request: &SuggestionRequest) -> Option<Vec<String>> {
        self.engine.as_ref()?.ask(WriteLines(request.clone())).await.ok()
    }
}

impl Counters {
    pub(super) fn get(&self) -> SuggestionCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SuggestionCounts {
            requests: count(&self.requests),
            from_catalogue: count(&self.from_catalogue),
            from_endpoint: count(&self.from_endpoint),
            crises: count(&self.crises),
        }
    }
}

fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
