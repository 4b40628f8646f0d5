//! Phrases to look for, as `config/crisis.toml` and `config/suggestions.toml` write them. They match whole words, so "die" does not match
//! "diet".
//!
//! | written | matches |
//! |---|---|
//! | `want` | that word |
//! | `suicid*`, `*hikog*` | a word with this prefix; a word that contains this |
//! | `want\|wish` | one of them |
//! | `to?` | that word or nothing |
//! | `..` | up to three words |

use std::{collections::HashMap, ops::Range};

use super::text::{Word, words};

/// The most words that `..` matches.
const MAX_WILDCARD_WORDS: usize = 3;

#[derive(Debug)]
struct Pattern(Vec<Element>);

#[derive(Debug)]
enum Element {
    Word { forms: Vec<Form>, optional: bool },
    Wildcard,
}

#[derive(Debug)]
enum Form {
    Exact(String),
    Prefix(String),
    Infix(String),
}

/// Phrases that are found in one pass over a text.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    all: Vec<Pattern>,
    /// Indices by the first letter of the first word.
    by_letter: HashMap<char, Vec<usize>>,
    /// Indices of those whose first letter varies.
    anywhere: Vec<usize>,
}

impl Patterns {
    /// Parses phrases.
    ///
    /// # Errors
    /// The phrase and what is wrong with it.
    pub(super) fn parse<'a>(phrases: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut patterns = Self::default();
        for phrase in phrases {
            let pattern = Pattern::parse(phrase).map_err(|reason| format!("`{phrase}` {reason}"))?;
            patterns.add(pattern);
        }
        Ok(patterns)
    }

    fn add(&mut self, pattern: Pattern) {
        let index = self.all.len();
        let mut letters: Vec<Option<char>> = pattern.first_letters().collect();
        letters.sort_unstable();
        letters.dedup();
        for letter in letters {
            letter.map_or(&mut self.anywhere, |letter| self.by_letter.entry(letter).or_default()).push(index);
        }
        self.all.push(pattern);
    }

    /// Returns the ranges of words that match. A phrase with `..` gives one range for each number of words that `..` can match.
    pub(super) fn find_spans<'a>(&'a self, text: &'a [Word]) -> impl Iterator<Item = Range<usize>> + 'a {
        (0..text.len()).flat_map(move |start| {
            let ends = self.candidates(&text[start]).flat_map(move |pattern| pattern.match_ends(text, start));
            ends.map(move |end| start..end)
        })
    }

    fn candidates(&self, word: &Word) -> impl Iterator<Item = &Pattern> {
        let letter = word.text.chars().next().unwrap_or_default();
        let known = self.by_letter.get(&letter).map_or(&[][..], Vec::as_slice);
        known.iter().chain(&self.anywhere).map(|&index| &self.all[index])
    }

    /// Whether a phrase has exactly this word.
    #[cfg(test)]
    pub(super) fn has_word(&self, word: &str) -> bool {
        let is = |form: &Form| matches!(form, Form::Exact(text) if text == word);
        let holds = |element: &Element| matches!(element, Element::Word { forms, .. } if forms.iter().any(is));
        self.all.iter().any(|pattern| pattern.0.iter().any(holds))
    }
}

impl Pattern {
    fn parse(phrase: &str) -> Result<Self, &'static str> {
        let elements: Vec<Element> = phrase.split(' ').map(Element::parse).collect::<Result<_, _>>()?;
        let is_firm = |element: Option<&Element>| matches!(element, Some(Element::Word { optional: false, .. }));
        if is_firm(elements.first()) && is_firm(elements.last()) {
            Ok(Self(elements))
        } else {
            Err("begins or ends with a word that may be missing")
        }
    }

    fn first_letters(&self) -> impl Iterator<Item = Option<char>> {
        let forms = match &self.0[0] {
            Element::Word { forms, .. } => forms.as_slice(),
            Element::Wildcard => &[],
        };
        forms.iter().map(Form::first_letter)
    }

    fn match_ends(&self, text: &[Word], start: usize) -> Vec<usize> {
        let mut ends = vec![start];
        for element in &self.0 {
            ends = ends.into_iter().flat_map(|at| element.match_ends(text, at)).collect();
            ends.sort_unstable();
            ends.dedup();
        }
        ends
    }
}

impl Element {
    fn parse(written: &str) -> Result<Self, &'static str> {
        if written == ".." {
            return Ok(Self::Wildcard);
        }
        let (forms, optional) = written.strip_suffix('?').map_or((written, false), |forms| (forms, true));
        let forms = forms.split('|').map(Form::parse).collect::<Result<_, _>>()?;
        Ok(Self::Word { forms, optional })
    }

    /// Returns where a match that begins at `at` can end.
    fn match_ends(&self, text: &[Word], at: usize) -> Vec<usize> {
        match self {
            Self::Wildcard => (at..=text.len().min(at + MAX_WILDCARD_WORDS)).collect(),
            Self::Word { forms, optional } => {
                let fits = text.get(at).is_some_and(|word| forms.iter().any(|form| form.fits(&word.text)));
                let without = optional.then_some(at);
                without.into_iter().chain(fits.then_some(at + 1)).collect()
            }
        }
    }
}

impl Form {
    fn parse(written: &str) -> Result<Self, &'static str> {
        let (open_before, rest) = written.strip_prefix('*').map_or((false, written), |rest| (true, rest));
        let (open_after, rest) = rest.strip_suffix('*').map_or((false, rest), |rest| (true, rest));
        let [Word { text, .. }] = &words(rest)[..] else { return Err("holds something that is not one word") };
        match (open_before, open_after) {
            (false, false) => Ok(Self::Exact(text.clone())),
            (false, true) => Ok(Self::Prefix(text.clone())),
            (true, true) => Ok(Self::Infix(text.clone())),
            (true, false) => Err("has a star before a word and none behind it"),
        }
    }

    fn fits(&self, word: &str) -> bool {
        match self {
            Self::Exact(text) => word == text,
            Self::Prefix(text) => word.starts_with(text),
            Self::Infix(text) => word.contains(text),
        }
    }

    fn first_letter(&self) -> Option<char> {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text.chars().next(),
            Self::Infix(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(phrase: &str, text: &str) -> Vec<(usize, usize)> {
        let spans = |patterns: Patterns| patterns.find_spans(&words(text)).map(|span| (span.start, span.end)).collect();
        Patterns::parse([phrase]).map(spans).expect("a good phrase")
    }

    #[test]
    fn whole_words_are_found() {
        assert_eq!(found("die", "a diet to die for"), [(3, 4)]);
        assert_eq!(found("diet*", "the dietician"), [(1, 2)]);
        assert_eq!(found("*hikog*", "naghikogay"), [(0, 1)]);
    }

    #[test]
    fn a_word_may_be_an_alternative_or_optional() {
        for text in ["want die", "wish die", "want to die"] {
            assert_eq!(found("want|wish to? die", text).len(), 1, "{text}");
        }
        assert!(found("want|wish to? die", "want not to die").is_empty());
    }

    #[test]
    fn a_wildcard_matches_at_most_three_words_and_every_match_is_returned() {
        assert_eq!(found("kill .. me", "kill me me now me me"), [(0, 2), (0, 3), (0, 5)]);
        assert!(found("kill .. me", "kill all of the mice for me").is_empty());
    }

    #[test]
    fn a_malformed_phrase_is_refused() {
        for phrase in ["to? die", "die ..", "", "a  b", "die|", "*die", "so-called"] {
            assert!(Patterns::parse([phrase]).is_err(), "{phrase}");
        }
    }
}
