//! Counts the SQL statements of a request.

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

/// The statements of each counted request, by its id.
static COUNTED: Mutex<Option<HashMap<String, Vec<String>>>> = Mutex::new(None);
const PREFIX: &str = "counted-";

/// Records each statement that sqlx logs within a request's span. Messages carry their span, so the statements of
/// actors are recorded too.
pub(super) struct StatementRecorder;

/// Marks the span of a counted request.
struct RequestId(String);

impl StatementRecorder {
    /// Lets through the spans of requests and of the messages that they send, and the event of sqlx for each statement.
    pub(super) fn filter<S>() -> impl Filter<S> {
        Targets::new()
            .with_target("faceofmind", tracing::Level::INFO)
            .with_target("faceofmind_runtime", tracing::Level::DEBUG)
            .with_target("sqlx::query", tracing::Level::DEBUG)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for StatementRecorder {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut read = FieldReader { name: "request_id", text: None };
        span.record(&mut read);
        if let (Some(id), Some(span)) = (read.text.filter(|id| id.starts_with(PREFIX)), context.span(id)) {
            span.extensions_mut().insert(RequestId(id));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut read = FieldReader { name: "summary", text: None };
        event.record(&mut read);
        let (Some(summary), Some(mut scope)) = (read.text, context.event_scope(event)) else { return };
        let request = scope.find_map(|span| span.extensions().get::<RequestId>().map(|id| id.0.clone()));
        if let Some(request) = request {
            let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
            counted.get_or_insert_default().entry(request).or_default().push(summary);
        }
    }
}

/// Reads one field as text.
struct FieldReader {
    name: &'static str,
    text: Option<String>,
}

impl Visit for FieldReader {
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
    /// Sends the request with an id of its own. Gives the response and the first words of each statement that it took.
    pub(crate) async fn count_statements(
        &self,
        call: impl FnOnce(&Self) -> super::client::Call,
    ) -> (Response, Vec<String>) {
        static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let id = format!("{PREFIX}{}", CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let response = call(self).header("x-request-id", &id).send().await;
        let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
        let statements = counted.get_or_insert_default().remove(&id).unwrap_or_default();
        (response, statements)
    }
}
