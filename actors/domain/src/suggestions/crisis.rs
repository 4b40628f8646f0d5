//! Whether a person mentions suicide or self-harm, and the hotlines that are then named. All of it comes from `config/crisis.toml`, which is
//! built in, so it needs no actor, database, network or setting.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;

use super::{
    pattern::Patterns,
    suggestion::Advice,
    text::{Word, words},
};

const FILE: &str = include_str!("../../../../config/crisis.toml");

static PHRASES: LazyLock<CrisisPhrases> =
    LazyLock::new(|| CrisisPhrases::read(FILE).expect("a test reads config/crisis.toml"));

/// Whether a text mentions suicide or self-harm. Doubtful texts do.
///
/// It looks for phrases in several languages, word by word. A phrase within a longer harmless one does not count ("suicide" in "Suicide
/// Squad", "want to die" in "I don't want to die"). A still longer phrase that is not harmless counts again ("not suicidal yet").
pub fn mentions_self_harm(text: &str) -> bool {
    PHRASES.matches_crisis(text)
}

/// Returns the hotlines for a person in that time zone (an IANA name), in that language where the file has it, else in English.
pub(super) fn answer(zone: Option<&str>, language: Option<&str>) -> Advice {
    let region = PHRASES.region(zone);
    let primary = language.and_then(|tag| tag.split(['-', '_']).next()).unwrap_or_default().to_lowercase();
    let lines = PHRASES.answers.get(&primary).unwrap_or(&PHRASES.answers[ENGLISH]);
    let filled = |line: &String| line.replace("{lines}", &region.lines).replace("{emergency}", &region.emergency);
    let urls = region.urls.iter().chain(&PHRASES.urls).cloned().collect();
    Advice { lines: lines.iter().map(filled).collect(), urls, crisis: true }
}

const ENGLISH: &str = "en";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fillers: Vec<String>,
    default_region: String,
    urls: Vec<String>,
    phrases: HashMap<String, Phrases>,
    answers: HashMap<String, Vec<String>>,
    regions: HashMap<String, Region>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Phrases {
    alarming: Vec<String>,
    harmless: Vec<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Region {
    zones: Vec<String>,
    lines: String,
    emergency: String,
    urls: Vec<String>,
}

struct CrisisPhrases {
    fillers: Vec<String>,
    alarming: Patterns,
    harmless: Patterns,
    answers: HashMap<String, Vec<String>>,
    regions: HashMap<String, Region>,
    default_region: String,
    urls: Vec<String>,
}

impl CrisisPhrases {
    fn read(file: &str) -> Result<Self, String> {
        let file: File = toml::from_str(file).map_err(|error| error.to_string())?;
        let all = |of: fn(&Phrases) -> &Vec<String>| file.phrases.values().flat_map(of).map(String::as_str);
        Ok(Self {
            alarming: Patterns::parse(all(|phrases| &phrases.alarming))?,
            harmless: Patterns::parse(all(|phrases| &phrases.harmless))?,
            fillers: file.fillers,
            answers: file.answers,
            regions: file.regions,
            default_region: file.default_region,
            urls: file.urls,
        })
    }

    /// Punctuation breaks a harmless phrase ("No, never. I will kill myself") and not an alarming one ("I want to... die").
    fn matches_crisis(&self, text: &str) -> bool {
        let words = self.without_fillers(words(text));
        let unbroken =
            |span: &std::ops::Range<usize>| !words[span.start + 1..span.end].iter().any(|word| word.after_break);
        let harmless: Vec<_> = self.harmless.find_spans(&words).filter(unbroken).collect();
        let is_within_harmless = |span: &std::ops::Range<usize>| {
            harmless.iter().any(|around| around.start <= span.start && span.end <= around.end)
        };
        self.alarming.find_spans(&words).any(|span| !is_within_harmless(&span))
    }

    fn without_fillers(&self, words: Vec<Word>) -> Vec<Word> {
        let mut kept: Vec<Word> = Vec::with_capacity(words.len());
        let mut broken = false;
        for word in words {
            broken |= word.after_break;
            if !self.fillers.contains(&word.text) {
                kept.push(Word { after_break: std::mem::take(&mut broken), ..word });
            }
        }
        kept
    }

    /// Returns the region that matches the zone most exactly: `America/Toronto` before `America/*`.
    fn region(&self, zone: Option<&str>) -> &Region {
        let zone = zone.unwrap_or_default();
        let exactness = |region: &Region| region.zones.iter().filter_map(|name| similarity(name, zone)).max();
        let fitting = self.regions.values().filter_map(|region| Some((exactness(region)?, region)));
        let best = fitting.max_by_key(|(exactness, _)| *exactness).map(|(_, region)| region);
        best.unwrap_or(&self.regions[&self.default_region])
    }
}

/// Returns how many letters of `zone` the pattern `name` matches, which may end in `*`. None when it does not match.
fn similarity(name: &str, zone: &str) -> Option<usize> {
    let fits = match name.strip_suffix('*') {
        Some(start) => zone.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)),
        None => name.eq_ignore_ascii_case(zone),
    };
    fits.then_some(name.len())
}

#[cfg(test)]
mod tests;
