//! Where a page ended, as an opaque word: clients hand it back and read nothing into it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

const PREFIX: &str = "after:";

/// The word for a key.
pub fn write(key: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{PREFIX}{key}"))
}

/// The key of a word.
///
/// # Errors
/// When the word is none of ours.
pub fn read(word: &str) -> Result<i64, &'static str> {
    let text = URL_SAFE_NO_PAD.decode(word).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let key = text.as_deref().and_then(|text| text.strip_prefix(PREFIX)).and_then(|key| key.parse().ok());
    key.ok_or("must be the `next` of an earlier page")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_back_and_others_are_refused() {
        assert_eq!(read(&write(42)), Ok(42));
        for word in ["", "42", "YWZ0ZXI6", "!"] {
            assert!(read(word).is_err(), "{word}");
        }
    }
}
