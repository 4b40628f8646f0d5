//! Log lines as JSON objects (RFC 8259), one a line: time, level, the fields of the event, target, and the fields of the innermost span.
//!
//! A field is written when it is recorded, as `"name":value,`. So the fields of a span are formatted once, and each line copies them.

use std::fmt::{self, Write};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// The format of events and of the fields of spans.
pub(super) struct JsonLines;

impl<'writer> FormatFields<'writer> for JsonLines {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = JsonFields { out: &mut writer, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, Self> for JsonLines {
    fn format_event(&self, context: &FmtContext<'_, S, Self>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        out.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut out)?;
        write!(out, r#"","level":"{}","#, metadata.level())?;
        context.format_fields(out.by_ref(), event)?;
        write!(out, r#""target":"{}""#, metadata.target())?;
        if let Some(span) = context.lookup_current() {
            out.write_str(r#","span":{"#)?;
            if let Some(fields) = span.extensions().get::<FormattedFields<Self>>() {
                out.write_str(fields)?;
            }
            write!(out, r#""name":"{}"}}"#, span.name())?;
        }
        out.write_str("}\n")
    }
}

/// Writes fields as `"name":value,`.
struct JsonFields<'a> {
    out: &'a mut dyn Write,
    result: fmt::Result,
}

impl JsonFields<'_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut dyn Write) -> fmt::Result) {
        let name = field.name();
        let name = name.strip_prefix("r#").unwrap_or(name);
        if self.result.is_ok() {
            let written = write!(self.out, r#""{name}":"#).and_then(|()| value(self.out));
            self.result = written.and_then(|()| self.out.write_char(','));
        }
    }

    fn text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.write(field, |out| {
            out.write_char('"')?;
            Escaped(out).write_fmt(value)?;
            out.write_char('"')
        });
    }
}

impl Visit for JsonFields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has neither infinity nor NaN.
        self.write(field, |out| if value.is_finite() { write!(out, "{value}") } else { out.write_str("null") });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, |out| write!(out, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |out| write!(out, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |out| write!(out, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}

/// Escapes what a JSON string must not contain (RFC 8259 §7), also line feeds, so that no value begins a new line.
struct Escaped<'a>(&'a mut dyn Write);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(position) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
            let (before, from) = rest.split_at(position);
            self.0.write_str(before)?;
            let mut characters = from.chars();
            match characters.next() {
                Some(escaped @ ('"' | '\\')) => write!(self.0, "\\{escaped}")?,
                Some('\n') => self.0.write_str("\\n")?,
                Some(control) => write!(self.0, "\\u{:04x}", u32::from(control))?,
                None => {}
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tracing_subscriber::fmt;

    use super::*;
    use crate::logging::testing::CapturedLog;

    /// The lines that `work` logs, without their times.
    fn lines(work: impl FnOnce()) -> Vec<Value> {
        let log = CapturedLog::default();
        let subscriber = fmt().fmt_fields(JsonLines).event_format(JsonLines).with_writer(log.clone()).finish();
        tracing::subscriber::with_default(subscriber, work);
        let line = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
            let time = line["timestamp"].take();
            let time: jiff::Timestamp = time.as_str().and_then(|time| time.parse().ok()).expect("a timestamp");
            assert!(time.as_second() > 1_700_000_000, "{time}");
            line.as_object_mut().expect("an object").remove("timestamp");
            line
        };
        log.text().lines().map(line).collect()
    }

    #[test]
    fn a_line_has_the_fields_of_the_event_and_of_its_span() {
        let logged = lines(|| {
            let span =
                tracing::info_span!("request", request_id = "7", path = "/api/{id}", late = tracing::field::Empty);
            span.record("late", 3);
            span.in_scope(|| tracing::info!(status = 200_u16, latency_us = 12_u64, r#type = "a", "request finished"));
            tracing::warn!(left_out = -1, share = 0.5, none = f64::NAN, up = true, "no span");
        });
        let target = "faceofmind::logging::json::tests";
        assert_eq!(
            logged,
            [
                json!({
                    "level": "INFO", "message": "request finished", "status": 200, "latency_us": 12, "type": "a", "target": target,
                    "span": { "request_id": "7", "path": "/api/{id}", "late": 3, "name": "request" },
                }),
                json!({
                    "level": "WARN", "message": "no span", "left_out": -1, "share": 0.5, "none": null, "up": true, "target": target,
                }),
            ]
        );
    }

    #[test]
    fn no_value_ends_its_string_or_its_line() {
        let text = "\"quoted\" \\ and\nlines\r\t\u{0}\u{1b}[31m, ü 🙂\u{2028}";
        let logged = lines(|| tracing::info!(text, debug = ?text, display = %text, "{text}"));
        let [line] = logged.as_slice() else { panic!("one line, not {logged:?}") };
        for field in ["text", "display", "message"] {
            assert_eq!(line[field], text, "{field}");
        }
        assert_eq!(line["debug"], format!("{text:?}"));
    }
}
