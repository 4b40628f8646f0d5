//! How many statements the service runs for a request.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::{Person, Response};

/// By the ids of requests that ask to be counted.
static COUNTED: Mutex<Option<HashMap<String, Vec<String>>>> = Mutex::new(None);
const PREFIX: &str = "counted-";

/// Counts what sqlx says that it ran within a request's span. Spans go along with messages, so actors' statements count too.
pub(super) struct Statements;

/// What a request's span is found by.
struct RequestId(String);

impl Statements {
    /// The spans of requests, and sqlx's word on each statement.
    pub(super) fn filter<S>() -> impl Filter<S> {
        Targets::new().with_target("faceofmind", tracing::Level::INFO).with_target("sqlx::query", tracing::Level::DEBUG)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Statements {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut read = Read { name: "request_id", text: None };
        span.record(&mut read);
        if let (Some(id), Some(span)) = (read.text.filter(|id| id.starts_with(PREFIX)), context.span(id)) {
            span.extensions_mut().insert(RequestId(id));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut read = Read { name: "summary", text: None };
        event.record(&mut read);
        let (Some(summary), Some(mut scope)) = (read.text, context.event_scope(event)) else { return };
        let request = scope.find_map(|span| span.extensions().get::<RequestId>().map(|id| id.0.clone()));
        if let Some(request) = request {
            let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
            counted.get_or_insert_default().entry(request).or_default().push(summary);
        }
    }
}

/// One field as text.
struct Read {
    name: &'static str,
    text: Option<String>,
}

impl Visit for Read {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.name {
            self.text = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == self.name {
            self.text = Some(format!("{value:?}").trim_matches('"').to_owned());
        }
    }
}

impl Person {
    /// Calls under a request id of its own, and tells the answer and the first words of every statement that it took.
    pub(crate) async fn counted(&self, call: impl FnOnce(&Self) -> super::client::Call) -> (Response, Vec<String>) {
        static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let id = format!("{PREFIX}{}", CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let response = call(self).header("x-request-id", &id).send().await;
        let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
        let statements = counted.get_or_insert_default().remove(&id).unwrap_or_default();
        (response, statements)
    }
}
