//! The party and the request that caused a change. Every event carries them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::UserId;

/// The party that caused a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// A client that is not logged in: it registers, verifies a code or resets a password.
    Anonymous,
    /// A user, on their own account.
    User(UserId),
    /// An admin, on another account.
    Admin(UserId),
    /// The program itself: a due date, a sweep, its command line.
    System,
}

impl Serialize for Initiator {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Anonymous => serializer.serialize_str("anonymous"),
            Self::User(id) => serializer.collect_str(&format_args!("user/{id}")),
            Self::Admin(id) => serializer.collect_str(&format_args!("admin/{id}")),
            Self::System => serializer.serialize_str("system"),
        }
    }
}

impl<'de> Deserialize<'de> for Initiator {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = match text.split_once('/') {
            None if text == "anonymous" => Some(Self::Anonymous),
            None if text == "system" => Some(Self::System),
            Some(("user", id)) => id.parse().ok().map(|id| Self::User(UserId(id))),
            Some(("admin", id)) => id.parse().ok().map(|id| Self::Admin(UserId(id))),
            _ => None,
        };
        parsed.ok_or_else(|| D::Error::custom("not an initiator"))
    }
}

impl JsonSchema for Initiator {
    fn schema_name() -> Cow<'static, str> {
        "Initiator".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(anonymous|system|(user|admin)/[0-9]+)$",
            "description": "The party that caused the event: `anonymous` before any log-in, `user/7`, `admin/1`, or `system`, the program itself.",
        })
    }
}

/// The party and the request that caused a change: the extension attributes `causedby`, `requestid` and `traceparent` of its events
/// (CloudEvents 1.0 §3.2: lower-case letters and digits).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventContext {
    #[serde(rename = "causedby")]
    initiator: Initiator,
    /// The `X-Request-Id` of the request, where there was one.
    #[serde(rename = "requestid", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^[A-Za-z0-9._:+/=-]{1,128}$"))]
    request_id: Option<String>,
    /// The trace of the request (W3C Trace Context, version 00), where it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"))]
    traceparent: Option<String>,
}

impl EventContext {
    /// Returns a context outside of any request.
    pub fn new(initiator: Initiator) -> Self {
        Self { initiator, request_id: None, traceparent: None }
    }

    /// Adds the id of the request. A client may have chosen it, so an id that could hold a sentence or an address is left out: an id has 1
    /// to 128 ASCII letters, digits and `._:+/=-`.
    #[must_use]
    pub fn with_request_id(mut self, id: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:+/=-".contains(&byte);
        self.request_id = ((1..=128).contains(&id.len()) && id.bytes().all(plain)).then(|| id.to_owned());
        self
    }

    /// Adds the trace (W3C Trace Context §3.2.2, version 00). Any other header is left out.
    #[must_use]
    pub fn with_traceparent(mut self, header: &str) -> Self {
        self.traceparent = is_traceparent(header).then(|| header.to_owned());
        self
    }

    /// The id of the request, where there was one.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The party that caused the change.
    pub fn initiator(&self) -> Initiator {
        self.initiator
    }
}

fn is_traceparent(header: &str) -> bool {
    let hex =
        |part: &str, length| part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = |part: &str, length| hex(part, length) && part.bytes().any(|byte| byte != b'0');
    let parts: Vec<_> = header.split('-').collect();
    matches!(parts[..], ["00", trace, parent, flags] if id(trace, 32) && id(parent, 16) && hex(flags, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_context_is_read_back() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let full = EventContext::new(Initiator::User(UserId(7))).with_request_id("request-1").with_traceparent(trace);
        let initiators = [Initiator::Anonymous, Initiator::Admin(UserId(1)), Initiator::System];
        for context in initiators.map(EventContext::new).into_iter().chain([full]) {
            let text = serde_json::to_string(&context).expect("JSON");
            assert_eq!(serde_json::from_str::<EventContext>(&text).expect("a context"), context);
        }
        for bad in ["user", "user/x", "admin/", "stranger/1", ""] {
            assert!(serde_json::from_value::<Initiator>(bad.into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_id_that_could_be_an_address_is_left_out() {
        let taken = |id| EventContext::new(Initiator::System).with_request_id(id).request_id;
        assert_eq!(taken("0198-ab.c:1/2+3=").as_deref(), Some("0198-ab.c:1/2+3="));
        for id in ["", "ada@example.org", "my request", "a\r\nb", "é", &"x".repeat(129)] {
            assert_eq!(taken(id), None, "{id}");
        }
    }

    #[test]
    fn a_malformed_traceparent_is_left_out() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        for bad in [
            "",
            "00-x-y-01",
            &good.to_uppercase(),
            &good.replace("00f067aa0ba902b7", "0000000000000000"),
            &good.replacen("00", "ff", 1),
            &format!("{good}-x"),
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
