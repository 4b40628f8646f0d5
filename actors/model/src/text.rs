//! What people write, compared as people see it.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

/// Whether a character is drawn as nothing: Unicode's `Default_Ignorable_Code_Point`, and the blank of braille. Spaces and control
/// characters are not among them.
pub const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a reader sees anything of a text.
pub fn is_visible(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !c.is_control() && !is_invisible(c))
}

/// Returns a text in Normalization Form C, in which equal characters have equal bytes.
pub fn nfc(text: &str) -> Cow<'_, str> {
    if is_nfc_quick(text.chars()) == IsNormalized::Yes { text.into() } else { text.nfc().collect::<String>().into() }
}

/// Returns what texts that differ only in case or in the encoding of their characters have in common: Normalization Form C of the full case
/// folding ("Straße" and "STRASSE", "é" in one and in two code points).
///
/// The folding is Unicode's by way of the upper case, of which the standard library has all mappings. The dotless i is no i.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let folded = |c: char| match c {
        'ı' => c.to_string(),
        _ => c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect(),
    };
    let folded: String = text.nfd().map(folded).collect();
    folded.nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_characters_that_draw_nothing_is_not_visible() {
        for text in [
            "",
            " \t\n\u{a0}\u{3000}",
            "\u{200b}\u{2060}\u{feff}",
            "\u{2800}\u{3164}\u{ffa0}",
            "\u{e0041}\u{fe0f}\0\u{7}",
        ] {
            assert!(!is_visible(text), "{text:?}");
        }
        for text in ["a", "\u{200b}.", "é", "🙂", "字"] {
            assert!(is_visible(text), "{text:?}");
        }
    }

    #[test]
    fn texts_that_differ_only_in_case_or_encoding_fold_alike() {
        for (one, other) in [
            ("HAPPY", "happy"),
            ("Straße", "STRASSE"),
            ("SAUDAD\u{e9}", "saudade\u{301}"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("ﬁne", "FINE"),
            ("ÅNGEST", "a\u{30a}ngest"),
            ("\u{1e9e}", "ss"),
            ("\u{3b1}\u{345}", "\u{1fb3}"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
            assert_eq!(fold(&fold(one)), fold(one), "{one}");
        }
        for (one, other) in [("ı", "i"), ("é", "e"), ("a", "b")] {
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn normalization_form_c_is_kept_and_made() {
        assert!(matches!(nfc("caf\u{e9}"), Cow::Borrowed("caf\u{e9}")));
        assert_eq!(nfc("cafe\u{301}"), "caf\u{e9}");
    }
}
