//! The suggestions that are built in: `config/suggestions.toml`, by emotion and by what the words are about.

use std::sync::LazyLock;

use serde::Deserialize;

use super::{Advice, Ask, LINES, pattern::Patterns, text};
use faceofmind_model::emotion;
use faceofmind_model::emotion::Intensity;

const FILE: &str = include_str!("../../../../config/suggestions.toml");

static BOOK: LazyLock<Book> = LazyLock::new(|| Book::read(FILE).expect("a test reads config/suggestions.toml"));

/// Tips that are about the theme, where there is one; the others are about the emotion.
const OF_THE_THEME: usize = 2;

/// Five lines and perhaps links. The same emotion, theme and seed give the same; the next seed gives others.
pub(super) fn advice(ask: &Ask) -> Advice {
    let feeling = BOOK.feeling(&ask.emotion);
    let theme = BOOK.theme(ask.words.as_deref().unwrap_or_default());
    let of_theme = theme.map(|theme| pick(theme.tips(feeling.tone), OF_THE_THEME, ask.seed)).unwrap_or_default();
    let acknowledgment = pick(&feeling.acknowledgments, 1, ask.seed);
    let of_feeling = pick(&feeling.tips, LINES - 1 - of_theme.len(), ask.seed);
    let lines = [acknowledgment, of_theme, of_feeling].concat();
    Advice { lines, urls: links(feeling, theme), crisis: false }
}

/// The links that go with what was asked, whoever wrote the lines.
pub(super) fn urls(ask: &Ask) -> Vec<String> {
    links(BOOK.feeling(&ask.emotion), BOOK.theme(ask.words.as_deref().unwrap_or_default()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    feelings: Vec<Feeling>,
    general: General,
    themes: Vec<Theme>,
    #[serde(skip)]
    words: Vec<Patterns>,
}

/// What is said of an emotion that is not among the feelings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct General {
    mild: Feeling,
    moderate: Feeling,
    severe: Feeling,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feeling {
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
    /// Something weighs on the person.
    Hard,
    /// Nothing does.
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

impl Book {
    fn read(file: &str) -> Result<Self, String> {
        let mut book: Self = toml::from_str(file).map_err(|error| error.to_string())?;
        book.words = book.themes.iter().map(Theme::patterns).collect::<Result<_, _>>()?;
        Ok(book)
    }

    fn feeling(&self, emotion: &str) -> &Feeling {
        let key = emotion::normalize(emotion);
        let named = self.feelings.iter().find(|feeling| feeling.emotions.contains(&key));
        named.unwrap_or_else(|| match emotion::intensity(emotion) {
            Intensity::Mild => &self.general.mild,
            Intensity::Moderate => &self.general.moderate,
            Intensity::Severe => &self.general.severe,
        })
    }

    /// What most of the words are about; of several the first in the file.
    fn theme(&self, words: &str) -> Option<&Theme> {
        let words = text::words(words);
        let counted = self.themes.iter().zip(&self.words).map(|(theme, named)| (named.spans(&words).count(), theme));
        let most = counted.rev().max_by_key(|(count, _)| *count);
        most.filter(|(count, _)| *count > 0).map(|(_, theme)| theme)
    }
}

impl Theme {
    fn patterns(&self) -> Result<Patterns, String> {
        let patterns = Patterns::parse(self.words.iter().map(String::as_str));
        patterns.map_err(|error| format!("the theme {}: {error}", self.name))
    }

    fn tips(&self, tone: Tone) -> &[String] {
        match tone {
            Tone::Hard => &self.hard,
            Tone::Bright => &self.bright,
        }
    }
}

/// `count` in a row, from a place that moves on with the seed.
fn pick(from: &[String], count: usize, seed: u64) -> Vec<String> {
    let turn = usize::try_from(seed % from.len() as u64).unwrap_or(0);
    from.iter().cycle().skip(turn * count % from.len()).take(count).cloned().collect()
}

fn links(feeling: &Feeling, theme: Option<&Theme>) -> Vec<String> {
    let mut urls: Vec<String> = theme.into_iter().flat_map(|theme| &theme.urls).cloned().collect();
    urls.extend(feeling.urls.iter().filter(|url| !urls.contains(url)).cloned().collect::<Vec<_>>());
    urls
}

#[cfg(test)]
mod tests;
