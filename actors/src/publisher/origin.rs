//! Who caused a change, and in which request: what rooms hand on with every event. No I/O.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::user_registry::UserId;

/// Who caused a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody who has not logged in: who registers, types a code or resets a password.
    Anonymous,
    /// A user, for themselves.
    User(UserId),
    /// An admin, for somebody.
    Admin(UserId),
    /// The program itself: a due date, a sweep, its command line.
    System,
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Anonymous => serializer.serialize_str("anonymous"),
            Self::User(id) => serializer.collect_str(&format_args!("user/{id}")),
            Self::Admin(id) => serializer.collect_str(&format_args!("admin/{id}")),
            Self::System => serializer.serialize_str("system"),
        }
    }
}

impl JsonSchema for Cause {
    fn schema_name() -> Cow<'static, str> {
        "Cause".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(anonymous|system|(user|admin)/[0-9]+)$",
            "description": "Who caused it: `anonymous` before any log-in, `user/7`, `admin/1`, or `system`, the program itself.",
        })
    }
}

/// Who caused a change, and in which request: the extension attributes `causedby`, `requestid` and `traceparent` of its events
/// (CloudEvents 1.0 §3.2: lower-case letters and digits).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Origin {
    #[serde(rename = "causedby")]
    cause: Cause,
    /// The `X-Request-Id` of the request, where there was one.
    #[serde(rename = "requestid", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^[A-Za-z0-9._:+/=-]{1,128}$"))]
    request_id: Option<String>,
    /// The trace that the request belongs to (W3C Trace Context, version 00), where it named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"))]
    traceparent: Option<String>,
}

impl Origin {
    /// Outside any request.
    pub fn new(cause: Cause) -> Self {
        Self { cause, request_id: None, traceparent: None }
    }

    /// In the request of that id. A client may have chosen it, so one that could hold a sentence or an address is left out: up to
    /// 128 of ASCII letters, digits and `._:+/=-` are taken.
    #[must_use]
    pub fn with_request_id(mut self, id: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:+/=-".contains(&byte);
        self.request_id = ((1..=128).contains(&id.len()) && id.bytes().all(plain)).then(|| id.to_owned());
        self
    }

    /// In that trace (W3C Trace Context §3.2.2, version 00); anything else is left out.
    #[must_use]
    pub fn with_traceparent(mut self, header: &str) -> Self {
        self.traceparent = is_traceparent(header).then(|| header.to_owned());
        self
    }

    /// Who caused it.
    pub fn cause(&self) -> Cause {
        self.cause
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
    fn a_request_id_that_could_be_an_address_is_left_out() {
        let taken = |id| Origin::new(Cause::System).with_request_id(id).request_id;
        assert_eq!(taken("0198-ab.c:1/2+3=").as_deref(), Some("0198-ab.c:1/2+3="));
        for id in ["", "ada@example.org", "my request", "a\r\nb", "é", &"x".repeat(129)] {
            assert_eq!(taken(id), None, "{id}");
        }
    }

    #[test]
    fn only_a_traceparent_is_taken_for_one() {
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
