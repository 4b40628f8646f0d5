//! What is known of emotions: `config/emotions.toml`, built in. Names are free text; they are compared in lower case.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

const FILE: &str = include_str!("../../config/emotions.toml");

static BOOK: LazyLock<Book> = LazyLock::new(|| toml::from_str(FILE).expect("a test reads config/emotions.toml"));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    other: Entry,
    known: HashMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    colour: String,
    intensity: Intensity,
}

/// How hard an emotion is to bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intensity {
    /// Easy.
    Mild,
    /// Neither.
    Moderate,
    /// Hard.
    Severe,
}

impl Intensity {
    /// As answers name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mild => "mild",
            Self::Moderate => "moderate",
            Self::Severe => "severe",
        }
    }
}

/// What siblings are told of an emotion that is not known.
const OTHER: &str = "other";

/// A name that a sibling service may see: one of the known ones, or `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Label(&'static str);

impl Label {
    /// What may be told of an emotion that was sent.
    pub fn of(emotion: &str) -> Self {
        Self(BOOK.known.get_key_value(&key(emotion)).map_or(OTHER, |(name, _)| name))
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl JsonSchema for Label {
    fn schema_name() -> Cow<'static, str> {
        "Emotion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut names: Vec<&str> = BOOK.known.keys().map(String::as_str).chain([OTHER]).collect();
        names.sort_unstable();
        json_schema!({ "type": "string", "enum": names, "description": "The name of an emotion that is known, or `other`." })
    }
}

/// How emotions are compared, counted and named in answers: in lower case, without spaces around it.
pub fn key(emotion: &str) -> String {
    emotion.trim().to_lowercase()
}

/// `#RRGGBB`.
pub fn colour(emotion: &str) -> &'static str {
    &entry(emotion).colour
}

/// How hard it is to bear.
pub fn intensity(emotion: &str) -> Intensity {
    entry(emotion).intensity
}

/// The known names, in no order.
pub fn known() -> impl Iterator<Item = &'static str> {
    BOOK.known.keys().map(String::as_str)
}

fn entry(emotion: &str) -> &'static Entry {
    BOOK.known.get(&key(emotion)).unwrap_or(&BOOK.other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_names_in_lower_case_and_colours() {
        let is_colour = |text: &str| {
            text.len() == 7 && text.starts_with('#') && text[1..].bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        for (name, entry) in &BOOK.known {
            assert!(*name == key(name) && name != "other", "{name}");
            assert!(is_colour(&entry.colour), "{name}: {}", entry.colour);
        }
        assert!(is_colour(&BOOK.other.colour));
    }

    #[test]
    fn intensities_are_those_of_the_contract() {
        for (names, expected) in [
            ("happy content neutral", Intensity::Mild),
            ("sad angry depressed furious fearful anxious stressed overwhelmed", Intensity::Severe),
        ] {
            let mut named: Vec<_> = names.split(' ').collect();
            let mut found: Vec<_> = known().filter(|name| intensity(name) == expected).collect();
            named.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, named);
        }
        assert_eq!(intensity("saudade"), Intensity::Moderate);
    }

    #[test]
    fn names_are_compared_in_lower_case() {
        assert_eq!(Label::of(" HAPPY ").name(), "happy");
        assert_eq!(colour("Happy"), colour("happy"));
        assert_eq!(Label::of("my mother's voice").name(), "other");
    }
}
