//! The built-in suggestions of `config/suggestions.toml`, chosen by the emotion and by the theme of the words.

use std::sync::LazyLock;

use faceofmind_model::emotion::{self, Intensity};
use serde::Deserialize;

use super::{
    LINES,
    pattern::Patterns,
    suggestion::{Advice, SuggestionRequest},
    text::{Reading, Words},
};

const FILE: &str = include_str!("../../../../config/suggestions.toml");

static CATALOG: LazyLock<SuggestionCatalog> =
    LazyLock::new(|| SuggestionCatalog::read(FILE).expect("a test reads config/suggestions.toml"));

/// The number of tips about the theme, where there is one. The others are about the emotion.
const THEME_TIPS: usize = 2;

/// Returns five lines and perhaps URLs. The same emotion, theme and seed give the same lines, and the next seed gives others.
pub(super) fn advice(request: &SuggestionRequest) -> Advice {
    let group = CATALOG.group(&request.emotion);
    let theme = CATALOG.theme(request.words.as_deref().unwrap_or_default());
    let of_theme = theme.map(|theme| pick(theme.tips(group.tone), THEME_TIPS, request.seed)).unwrap_or_default();
    let acknowledgment = pick(&group.acknowledgments, 1, request.seed);
    let of_feeling = pick(&group.tips, LINES - 1 - of_theme.len(), request.seed);
    let lines = [acknowledgment, of_theme, of_feeling].concat();
    Advice { lines, urls: links(group, theme), crisis: false }
}

/// Returns the URLs for a request, also where the endpoint wrote the lines.
pub(super) fn urls(request: &SuggestionRequest) -> Vec<String> {
    links(CATALOG.group(&request.emotion), CATALOG.theme(request.words.as_deref().unwrap_or_default()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuggestionCatalog {
    feelings: Vec<EmotionGroup>,
    general: General,
    themes: Vec<Theme>,
    #[serde(skip)]
    words: Option<ThemeWords>,
}

struct ThemeWords {
    patterns: Patterns,
    /// By phrase: the index of its theme.
    themes: Vec<usize>,
}

/// For emotions that no group names, by intensity.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct General {
    mild: EmotionGroup,
    moderate: EmotionGroup,
    severe: EmotionGroup,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmotionGroup {
    #[serde(default)]
    emotions: Vec<String>,
    tone: Tone,
    #[serde(default)]
    urls: Vec<String>,
    acknowledgments: Vec<String>,
    tips: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tone {
    Hard,
    Bright,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Theme {
    name: String,
    words: Vec<String>,
    #[serde(default)]
    urls: Vec<String>,
    hard: Vec<String>,
    bright: Vec<String>,
}

impl SuggestionCatalog {
    fn read(file: &str) -> Result<Self, String> {
        let mut book: Self = toml::from_str(file).map_err(|error| error.to_string())?;
        let named =
            book.themes.iter().zip(0..).flat_map(|(theme, index)| theme.words.iter().map(move |word| (word, index)));
        let (words, themes): (Vec<&String>, Vec<usize>) = named.unzip();
        let patterns = Patterns::parse(words.into_iter().map(String::as_str), []);
        let names = || book.themes.iter().map(|theme| theme.name.as_str()).collect::<Vec<_>>().join(", ");
        let patterns = patterns.map_err(|error| format!("the themes {}: {error}", names()))?;
        book.words = Some(ThemeWords { patterns, themes });
        Ok(book)
    }

    fn group(&self, emotion: &str) -> &EmotionGroup {
        let key = emotion::normalize(emotion);
        let named = self.feelings.iter().find(|group| group.emotions.contains(&key));
        named.unwrap_or_else(|| match emotion::intensity(emotion) {
            Intensity::Mild => &self.general.mild,
            Intensity::Moderate => &self.general.moderate,
            Intensity::Severe => &self.general.severe,
        })
    }

    /// Returns the theme of most of the words. Of several, the first in the file.
    fn theme(&self, words: &str) -> Option<&Theme> {
        let ThemeWords { patterns, themes } = self.words.as_ref()?;
        let mut counts = vec![0; self.themes.len()];
        for found in patterns.find(&Words::read(words, Reading::Apart)) {
            counts[themes[found.phrase]] += 1;
        }
        let most = self.themes.iter().zip(counts).rev().max_by_key(|(_, count)| *count);
        most.filter(|(_, count)| *count > 0).map(|(theme, _)| theme)
    }
}

impl Theme {
    fn tips(&self, tone: Tone) -> &[String] {
        match tone {
            Tone::Hard => &self.hard,
            Tone::Bright => &self.bright,
        }
    }
}

/// Returns `count` consecutive texts, from a place that moves with the seed.
fn pick(from: &[String], count: usize, seed: u64) -> Vec<String> {
    let turn = usize::try_from(seed % from.len() as u64).unwrap_or(0);
    from.iter().cycle().skip(turn * count % from.len()).take(count).cloned().collect()
}

fn links(group: &EmotionGroup, theme: Option<&Theme>) -> Vec<String> {
    let mut urls: Vec<String> = theme.into_iter().flat_map(|theme| &theme.urls).cloned().collect();
    urls.extend(group.urls.iter().filter(|url| !urls.contains(url)).cloned().collect::<Vec<_>>());
    urls
}

#[cfg(test)]
mod tests;
