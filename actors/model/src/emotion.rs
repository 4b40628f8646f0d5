//! Known emotions: `config/emotions.toml`, built in. Names are free text and compared case folded, in Normalization Form C.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::text::fold;

const FILE: &str = include_str!("../../../config/emotions.toml");

static CATALOG: LazyLock<EmotionCatalog> =
    LazyLock::new(|| toml::from_str(FILE).expect("a test reads config/emotions.toml"));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmotionCatalog {
    other: EmotionInfo,
    known: HashMap<String, EmotionInfo>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmotionInfo {
    colour: String,
    intensity: Intensity,
}

/// How hard an emotion is to bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intensity {
    /// Easy to bear.
    Mild,
    /// In between.
    Moderate,
    /// Hard to bear.
    Severe,
}

impl Intensity {
    /// Returns its name in responses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mild => "mild",
            Self::Moderate => "moderate",
            Self::Severe => "severe",
        }
    }
}

/// Events name an unknown emotion so.
const OTHER: &str = "other";

/// An emotion's name in an event: a known one, or `other`. It never quotes what a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct KnownEmotion(&'static str);

impl KnownEmotion {
    /// Returns the known name of an emotion that a client sent.
    pub fn of(emotion: &str) -> Self {
        Self(CATALOG.known.get_key_value(&normalize(emotion)).map_or(OTHER, |(name, _)| name))
    }

    /// Returns the name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl JsonSchema for KnownEmotion {
    fn schema_name() -> Cow<'static, str> {
        "Emotion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut names: Vec<&str> = CATALOG.known.keys().map(String::as_str).chain([OTHER]).collect();
        names.sort_unstable();
        json_schema!({ "type": "string", "enum": names, "description": "The name of a known emotion, or `other`." })
    }
}

/// Normalises a name for comparing, counting and responses: trimmed, case folded, in Normalization Form C.
pub fn normalize(emotion: &str) -> String {
    fold(emotion.trim())
}

/// Whether it is a known emotion.
pub fn is_known(emotion: &str) -> bool {
    CATALOG.known.contains_key(&normalize(emotion))
}

/// Returns the emotion's colour as `#RRGGBB`.
pub fn colour(emotion: &str) -> &'static str {
    &info(emotion).colour
}

/// Returns the emotion's intensity.
pub fn intensity(emotion: &str) -> Intensity {
    info(emotion).intensity
}

/// Yields the known names in no particular order.
pub fn known() -> impl Iterator<Item = &'static str> {
    CATALOG.known.keys().map(String::as_str)
}

fn info(emotion: &str) -> &'static EmotionInfo {
    CATALOG.known.get(&normalize(emotion)).unwrap_or(&CATALOG.other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_names_in_lower_case_and_colours() {
        let is_colour = |text: &str| {
            text.len() == 7 && text.starts_with('#') && text[1..].bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        for (name, entry) in &CATALOG.known {
            assert!(*name == normalize(name) && name != "other", "{name}");
            assert!(is_colour(&entry.colour), "{name}: {}", entry.colour);
        }
        assert!(is_colour(&CATALOG.other.colour));
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
        assert_eq!(normalize("SAUDAD\u{c9}"), normalize("saudade\u{301}"), "one é and two code points");
        assert_eq!(normalize("GROSSZÜGIG"), normalize("großzügig"));
        assert_eq!(KnownEmotion::of(" HAPPY ").name(), "happy");
        assert_eq!(colour("Happy"), colour("happy"));
        assert_eq!(KnownEmotion::of("my mother's voice").name(), "other");
    }
}
