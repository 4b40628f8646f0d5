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
//!
//! Two automata find all phrases at once, in time proportional to the text, whatever it holds. The first (Aho and Corasick, 1975) finds the
//! forms of each word. The second (Shift-And, Baeza-Yates and Gonnet, 1992) has one bit for each word of each phrase, and moves all of them
//! on by one word with a few instructions for 64 of them. For it, a phrase with words that may be missing is several phrases, of which each
//! has its bits in one block of 64.

use std::{collections::HashMap, ops::Range};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::text::{Reading, Spelling, Words};

/// The most words that `..` matches.
const MAX_WILDCARD_WORDS: usize = 3;
/// The most words of a phrase: the bits of a block.
const MAX_WORDS: usize = 64;
/// The most variants of a phrase with words that may be missing.
const MAX_VARIANTS: usize = 64;

/// A phrase that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// Its index among those that were parsed.
    pub(super) phrase: usize,
    /// The words, without those that are left out.
    pub(super) words: Range<usize>,
    /// Whether punctuation stands between the words.
    pub(super) is_broken: bool,
}

/// Phrases that are found in one pass over a text.
#[derive(Debug)]
pub(super) struct Patterns {
    /// Finds the forms in [`Words::text`].
    forms: AhoCorasick,
    /// The form that each string of `forms` spells.
    form_of: Vec<usize>,
    /// By form: the blocks in which it may stand, each with the places there.
    places: Vec<Vec<(usize, u64)>>,
    /// By block: the places where any word may stand.
    any: Vec<u64>,
    /// By block: the first place of each phrase.
    firsts: Vec<u64>,
    /// By block: the last place of each phrase.
    lasts: Vec<u64>,
    /// By last place: the index of the phrase, and the number of its words.
    ends: HashMap<usize, (usize, usize)>,
    /// The forms below this one are left out of texts.
    left_out: usize,
}

/// One word of a phrase.
#[derive(Clone, Debug)]
enum Place {
    Any,
    OneOf(Vec<usize>),
}

impl Patterns {
    /// Parses phrases, and words that texts are searched without.
    ///
    /// # Errors
    /// The phrase and what is wrong with it.
    pub(super) fn parse<'a>(
        phrases: impl IntoIterator<Item = &'a str>,
        left_out: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let mut builder = Builder::default();
        for word in left_out {
            builder.form(word).map_err(|reason| format!("`{word}` {reason}"))?;
        }
        builder.left_out = builder.forms.len();
        for (index, phrase) in phrases.into_iter().enumerate() {
            builder.add(index, phrase).map_err(|reason| format!("`{phrase}` {reason}"))?;
        }
        builder.build()
    }

    /// Returns every match, by its end. A phrase with `..` has one for each number of words that `..` can match.
    pub(super) fn find(&self, words: &Words) -> Vec<Match> {
        let (mut found, mut state, mut forms) = (Vec::new(), State::new(self.lasts.len()), Vec::new());
        let (mut count, mut unbroken_since, mut after_break) = (0, 0, false);
        let formed: Vec<_> =
            self.forms.find_overlapping_iter(&words.text).map(|form| (form.end(), form.pattern())).collect();
        let mut formed = &formed[..];
        for word in &words.words {
            forms.clear();
            while let Some(((end, form), rest)) = formed.split_first()
                && *end <= word.end
            {
                forms.push(self.form_of[*form]);
                formed = rest;
            }
            after_break |= word.after_break;
            if forms.iter().any(|&form| form < self.left_out) {
                continue;
            }
            if std::mem::take(&mut after_break) {
                unbroken_since = count;
            }
            count += 1;
            state.advance(self, &forms);
            state.for_each_end(self, |phrase, words| {
                let words = count - words..count;
                found.push(Match { phrase, is_broken: words.start < unbroken_since, words });
            });
        }
        found
    }
}

/// The places that were reached with the last word, by block.
struct State {
    reached: Vec<u64>,
    before: Vec<u64>,
    /// Whether any was reached.
    is_active: bool,
}

impl State {
    fn new(blocks: usize) -> Self {
        Self { reached: vec![0; blocks], before: vec![0; blocks], is_active: false }
    }

    /// A place is reached when the word fits, and the place before it was reached or it is the first of its phrase.
    fn advance(&mut self, patterns: &Patterns, forms: &[usize]) {
        if forms.is_empty() && !self.is_active {
            return;
        }
        std::mem::swap(&mut self.reached, &mut self.before);
        self.reached.fill(0);
        if self.is_active {
            follow(&mut self.reached, &self.before, &patterns.any);
        }
        for &(block, places) in forms.iter().flat_map(|form| &patterns.places[*form]) {
            self.reached[block] |= places & (self.before[block] << 1 | patterns.firsts[block]);
        }
        self.is_active = common(&self.reached, &self.reached) != 0;
    }

    /// Calls `end` with the index and the number of words of each phrase that ends with the last word.
    fn for_each_end(&self, patterns: &Patterns, mut end: impl FnMut(usize, usize)) {
        if !self.is_active || common(&self.reached, &patterns.lasts) == 0 {
            return;
        }
        for ((block, reached), lasts) in self.reached.iter().enumerate().zip(&patterns.lasts) {
            let mut left = reached & lasts;
            while left != 0 {
                let (phrase, words) = patterns.ends[&(block * 64 + left.trailing_zeros() as usize)];
                end(phrase, words);
                left &= left - 1;
            }
        }
    }
}

/// Adds to `reached` those of `places` that follow one of `before`. All have the same length, so that the processor works on several blocks at a
/// time.
fn follow(reached: &mut [u64], before: &[u64], places: &[u64]) {
    let len = reached.len();
    let (before, places) = (&before[..len], &places[..len]);
    for block in 0..len {
        reached[block] |= places[block] & (before[block] << 1);
    }
}

/// Returns whether two sets have a place in common: not zero if so.
fn common(one: &[u64], other: &[u64]) -> u64 {
    one.iter().zip(other).fold(0, |all, (one, other)| all | (one & other))
}

#[derive(Default)]
struct Builder {
    forms: HashMap<String, usize>,
    /// What is looked for, and the form that it spells.
    strings: Vec<(String, usize)>,
    /// The index of the phrase that a variant belongs to, and the variant.
    variants: Vec<(usize, Vec<Place>)>,
    left_out: usize,
}

impl Builder {
    fn add(&mut self, index: usize, phrase: &str) -> Result<(), &'static str> {
        let is_firm = |element: Option<&str>| element.is_some_and(|element| element != ".." && !element.ends_with('?'));
        if !is_firm(phrase.split(' ').next()) || !is_firm(phrase.split(' ').next_back()) {
            return Err("begins or ends with a word that may be missing");
        }
        let mut variants = vec![Vec::new()];
        for element in phrase.split(' ') {
            let forks = self.element(element)?;
            let extended =
                |variant: &Vec<Place>| forks.iter().map(|fork| [&variant[..], fork].concat()).collect::<Vec<_>>();
            variants = variants.iter().flat_map(extended).collect();
        }
        if variants.len() > MAX_VARIANTS || variants.iter().any(|variant| variant.len() > MAX_WORDS) {
            return Err("has too many words, or too many that may be missing");
        }
        self.variants.extend(variants.into_iter().map(|variant| (index, variant)));
        Ok(())
    }

    /// Returns what an element may stand for: rows of words.
    fn element(&mut self, written: &str) -> Result<Vec<Vec<Place>>, &'static str> {
        if written == ".." {
            return Ok((0..=MAX_WILDCARD_WORDS).map(|count| vec![Place::Any; count]).collect());
        }
        let (forms, optional) = written.strip_suffix('?').map_or((written, false), |forms| (forms, true));
        let forms: Vec<usize> = forms.split('|').map(|form| self.form(form)).collect::<Result<_, _>>()?;
        if forms.iter().any(|&form| form < self.left_out) {
            return Err("holds a word that texts are searched without");
        }
        let present = vec![Place::OneOf(forms)];
        Ok(if optional { vec![Vec::new(), present] } else { vec![present] })
    }

    /// Returns the index of a form.
    fn form(&mut self, written: &str) -> Result<usize, &'static str> {
        let (open_before, rest) = written.strip_prefix('*').map_or((false, written), |rest| (true, rest));
        let (open_after, rest) = rest.strip_suffix('*').map_or((false, rest), |rest| (true, rest));
        if open_before && !open_after {
            return Err("has a star before a word and none behind it");
        }
        let Words { text, words, .. } = Words::read(rest, Reading::Apart);
        if words.len() != 1 {
            return Err("holds something that is not one word");
        }
        let plain = text.trim_matches(|c: char| c.is_control());
        let index = self.forms.len();
        let key = format!("{}{plain}{}", "*".repeat(usize::from(open_before)), "*".repeat(usize::from(open_after)));
        if let Some(&known) = self.forms.get(&key) {
            return Ok(known);
        }
        self.forms.insert(key, index);
        for spelling in [Spelling::Plain, Spelling::Substituted, Spelling::Masked] {
            let (open, close) = spelling.delimiters();
            let spelled = spelling.of(plain);
            let text = match (open_before, open_after) {
                (false, false) => format!("{open}{spelled}{close}"),
                (false, true) => format!("{open}{spelled}"),
                _ => spelled,
            };
            self.strings.push((text, index));
        }
        Ok(index)
    }

    fn build(self) -> Result<Patterns, String> {
        let mut patterns = Patterns {
            forms: AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(self.strings.iter().map(|(text, _)| text))
                .map_err(|error| error.to_string())?,
            form_of: self.strings.iter().map(|(_, form)| *form).collect(),
            places: vec![Vec::new(); self.forms.len()],
            firsts: Vec::new(),
            any: Vec::new(),
            lasts: Vec::new(),
            ends: HashMap::new(),
            left_out: self.left_out,
        };
        let (firsts, blocks) = self.arrange();
        patterns.any = vec![0; blocks];
        patterns.firsts = vec![0; blocks];
        patterns.lasts = vec![0; blocks];
        for ((phrase, variant), first) in self.variants.iter().zip(firsts) {
            patterns.place(*phrase, variant, first);
        }
        Ok(patterns)
    }

    /// Returns the first place of each variant, and the number of blocks. No variant is in two blocks.
    fn arrange(&self) -> (Vec<usize>, usize) {
        let (mut firsts, mut free) = (Vec::with_capacity(self.variants.len()), 0_usize);
        for (_, variant) in &self.variants {
            let first = if free % 64 + variant.len() > 64 { free.next_multiple_of(64) } else { free };
            firsts.push(first);
            free = first + variant.len();
        }
        (firsts, free.div_ceil(64))
    }
}

impl Patterns {
    fn place(&mut self, phrase: usize, variant: &[Place], first: usize) {
        let (block, last) = (first / 64, first + variant.len() - 1);
        self.firsts[block] |= 1 << (first % 64);
        self.lasts[block] |= 1 << (last % 64);
        self.ends.insert(last, (phrase, variant.len()));
        for (place, number) in variant.iter().zip(first..) {
            let bit = 1 << (number % 64);
            match place {
                Place::Any => self.any[block] |= bit,
                Place::OneOf(forms) => forms.iter().for_each(|form| self.stand(*form, block, bit)),
            }
        }
    }

    /// Adds a place where the form may stand. The variants, and so the blocks, come in their order.
    fn stand(&mut self, form: usize, block: usize, place: u64) {
        match self.places[form].last_mut() {
            Some((last, places)) if *last == block => *places |= place,
            _ => self.places[form].push((block, place)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(phrase: &str, text: &str) -> Vec<(usize, usize)> {
        let patterns = Patterns::parse([phrase], []).expect("a good phrase");
        let mut spans: Vec<_> =
            patterns.find(&Words::read(text, Reading::Apart)).into_iter().map(|found| found.words).collect();
        spans.sort_by_key(|span| (span.start, span.end));
        spans.into_iter().map(|span| (span.start, span.end)).collect()
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
            assert!(Patterns::parse([phrase], []).is_err(), "{phrase}");
        }
        assert!(Patterns::parse(["a b? c? d? e? f? g? h? i"], []).is_err(), "128 variants");
    }

    #[test]
    fn words_that_are_left_out_are_in_no_phrase_and_do_not_part_one() {
        let patterns = Patterns::parse(["want die"], ["so", "to"]).expect("well formed");
        let find = |text| patterns.find(&Words::read(text, Reading::Apart));
        let found = |is_broken| vec![Match { phrase: 0, words: 1..3, is_broken }];
        assert_eq!(find("so i want so to die"), found(false));
        assert_eq!(find("i want. so die"), found(true), "the break counts");
        assert!(Patterns::parse(["want so"], ["so"]).is_err());
    }

    #[test]
    fn many_phrases_are_found_at_once_also_where_they_overlap() {
        let character = |n: u8| char::from(b'a' + n);
        let word = |n: u8| format!("w{}x{}y", character(n / 20), character(n % 20));
        let phrases: Vec<String> = (0..200).map(|n| [word(n), word(n + 1), word(n + 2)].join(" ")).collect();
        let patterns = Patterns::parse(phrases.iter().map(String::as_str), []).expect("well formed");
        let text: Vec<String> = (0..202).map(word).collect();
        let found = patterns.find(&Words::read(&text.join(" "), Reading::Apart));
        assert_eq!(found.iter().map(|found| found.phrase).collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
        assert!(found.iter().all(|found| found.words == (found.phrase..found.phrase + 3)));
    }
}
