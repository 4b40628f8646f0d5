//! What is suggested, and from which source.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
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
    /// Whether they [mention](crisis::is_mentioned) suicide or self-harm.
    pub is_crisis: bool,
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

/// Suggests. Clones share the counts.
#[derive(Clone, Debug)]
pub struct Suggestions {
    /// None where no endpoint is set.
    pub(super) endpoint: Option<Handle<SuggestionEngine>>,
    pub(super) counts: Arc<Mutex<SuggestionCounts>>,
}

/// How many suggestions were made, by source, since the program started.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct SuggestionCounts {
    pub requests: u64,
    pub from_catalogue: u64,
    pub from_endpoint: u64,
    pub crises: u64,
}

impl Suggestions {
    /// Suggests within 3 s, whatever the endpoint does: where it fails, the catalogue writes, and hotlines need nothing that can fail.
    pub async fn suggest(&self, request: SuggestionRequest) -> Advice {
        self.count(|counts| counts.requests += 1);
        if request.is_crisis {
            self.count(|counts| counts.crises += 1);
            return crisis::answer(request.time_zone.as_deref(), request.language.as_deref());
        }
        if let Some(lines) = self.ask_endpoint(&request).await {
            self.count(|counts| counts.from_endpoint += 1);
            return Advice { lines, urls: catalogue::urls(&request), crisis: false };
        }
        self.count(|counts| counts.from_catalogue += 1);
        catalogue::advice(&request)
    }

    async fn ask_endpoint(&self, request: &SuggestionRequest) -> Option<Vec<String>> {
        self.endpoint.as_ref()?.ask(WriteLines(request.clone())).await.ok()
    }

    fn count(&self, add: impl FnOnce(&mut SuggestionCounts)) {
        add(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
