//! Cursors: where a page ended, as opaque text that clients send back.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use salvo::oapi::{BasicType, Object, RefOr, Schema};

use super::validators::{ErrorMessage, FieldType, RawValue, parse};

const PREFIX: &str = "after:";
/// The prefix in base64, and the key.
const PATTERN: &str = "^YWZ0ZXI6[A-Za-z0-9_-]+$";

/// A field that holds a cursor; handlers get its key.
pub struct Cursor;

impl Cursor {
    /// The cursor behind the item with this key.
    pub fn encode(key: i64) -> String {
        URL_SAFE_NO_PAD.encode(format!("{PREFIX}{key}"))
    }

    fn decode(cursor: &str) -> Result<i64, &'static str> {
        let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let key = text.as_deref().and_then(|text| text.strip_prefix(PREFIX)).and_then(|key| key.parse().ok());
        key.ok_or("must be the `next` of an earlier page")
    }
}

impl FieldType for Cursor {
    type Value = i64;

    fn read(raw: RawValue) -> Result<i64, ErrorMessage> {
        parse(raw, Self::decode)
    }

    fn schema() -> RefOr<Schema> {
        Object::with_type(BasicType::String).pattern(PATTERN).example(Self::encode(42)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_decoded_and_other_text_is_rejected() {
        assert_eq!(Cursor::decode(&Cursor::encode(42)), Ok(42));
        for text in ["", "42", "YWZ0ZXI6", "!"] {
            assert!(Cursor::decode(text).is_err(), "{text}");
        }
    }
}
