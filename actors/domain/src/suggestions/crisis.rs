//! Whether a person mentions suicide or self-harm, and the hotlines that are then named. All of it comes from `config/crisis.toml`, which is
//! built in, so it needs no actor, database, network or setting.

use std::{collections::HashMap, num::NonZero, panic::resume_unwind, sync::LazyLock, thread::available_parallelism};

use faceofmind_model::{UserId, emotion};
use faceofmind_platform::caller;
use faceofmind_runtime::{AskError, FairGate};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::{
    pattern::{Match, Patterns},
    suggestion::Advice,
    text::{Reading, Words},
};

const FILE: &str = include_str!("../../../../config/crisis.toml");

static PHRASES: LazyLock<CrisisPhrases> =
    LazyLock::new(|| CrisisPhrases::read(FILE).expect("a test reads config/crisis.toml"));

/// Whether a text mentions suicide or self-harm. Doubtful texts do.
///
/// It looks for phrases in several languages, word by word. A phrase within a longer harmless one does not count ("suicide" in "Suicide
/// Squad", "want to die" in "I don't want to die"). A still longer phrase that is not harmless counts again ("not suicidal yet").
pub fn mentions_self_harm(text: &str) -> bool {
    let apart = Words::read(text, Reading::Apart);
    PHRASES.matches_crisis(&apart) || (apart.has_joints && PHRASES.matches_crisis(&Words::read(text, Reading::Joined)))
}

/// Whether an emotion's name or what was said with it mentions suicide or self-harm. The names of known emotions do not.
pub fn is_mentioned(emotion: &str, words: &str) -> bool {
    (!emotion::is_known(emotion) && mentions_self_harm(emotion)) || mentions_self_harm(words)
}

/// Returns the hotlines where one of the texts of a user mentions suicide or self-harm, for a person in that time zone (an IANA name), in that
/// language where the file has it, else in English. Else returns nothing.
///
/// # Errors
/// As [`search`].
pub async fn helplines(
    user: UserId,
    texts: Vec<String>,
    zone: Option<&str>,
    language: Option<&str>,
) -> Result<Vec<String>, AskError> {
    let bytes = texts.iter().map(String::len).sum();
    let is_mentioned = search(user, bytes, move || texts.iter().any(|text| mentions_self_harm(text))).await?;
    Ok(if is_mentioned { answer(zone, language).lines } else { Vec::new() })
}

/// Searches texts of that length, which a user wrote. What may take longer than a millisecond waits for one of as many threads as the machine has
/// cores, by turns between users, so that other requests go on.
///
/// # Errors
/// [`AskError::OverShare`] and [`AskError::Busy`] when too many wait, [`AskError::TimedOut`] after a wait of [`MAX_QUEUED`](faceofmind_runtime::MAX_QUEUED).
pub async fn search<T: Send + 'static>(
    user: UserId,
    bytes: usize,
    search: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AskError> {
    if bytes <= MAX_INLINE_BYTES {
        return Ok(search());
    }
    let pass = SEARCHES.pass_soon(caller::user(user)).await?;
    // The search keeps its place although its caller goes.
    let searching = move || {
        let found = search();
        drop(pass);
        found
    };
    match spawn_blocking(searching).await {
        Ok(found) => Ok(found),
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        // The runtime is stopping, and no caller waits.
        Err(_) => std::future::pending().await,
    }
}

/// Reads the phrases, which otherwise the first search does.
pub fn prepare() {
    LazyLock::force(&PHRASES);
}

/// The number of long texts that wait to be searched.
pub fn waiting_searches() -> usize {
    SEARCHES.waiting()
}

/// Searched at once: about 0.5 ms.
const MAX_INLINE_BYTES: usize = 8 << 10;

/// The most texts that wait to be searched.
const MAX_WAITING: usize = 128;

static SEARCHES: LazyLock<FairGate> =
    LazyLock::new(|| FairGate::new("text search", available_parallelism().map_or(1, NonZero::get), MAX_WAITING));

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
    /// First the alarming ones, then the harmless ones.
    patterns: Patterns,
    alarming: usize,
    answers: HashMap<String, Vec<String>>,
    regions: HashMap<String, Region>,
    default_region: String,
    urls: Vec<String>,
}

impl CrisisPhrases {
    fn read(file: &str) -> Result<Self, String> {
        let file: File = toml::from_str(file).map_err(|error| error.to_string())?;
        let all = |of: fn(&Phrases) -> &Vec<String>| file.phrases.values().flat_map(of).map(String::as_str);
        let phrases = all(|phrases| &phrases.alarming).chain(all(|phrases| &phrases.harmless));
        Ok(Self {
            patterns: Patterns::parse(phrases, file.fillers.iter().map(String::as_str))?,
            alarming: all(|phrases| &phrases.alarming).count(),
            answers: file.answers,
            regions: file.regions,
            default_region: file.default_region,
            urls: file.urls,
        })
    }

    /// Punctuation breaks a harmless phrase ("No, never. I will kill myself") and not an alarming one ("I want to... die").
    fn matches_crisis(&self, words: &Words) -> bool {
        let (alarming, harmless): (Vec<_>, Vec<_>) =
            self.patterns.find(words).into_iter().partition(|found| found.phrase < self.alarming);
        let ends = furthest_ends(harmless.iter().filter(|found| !found.is_broken), words.words.len());
        alarming.iter().any(|found| ends[found.words.start] < found.words.end)
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

/// Returns, by word, the furthest end of a match that begins with it or before.
fn furthest_ends<'a>(matches: impl Iterator<Item = &'a Match>, words: usize) -> Vec<usize> {
    let mut ends = vec![0; words];
    for found in matches {
        ends[found.words.start] = ends[found.words.start].max(found.words.end);
    }
    for word in 1..words {
        ends[word] = ends[word].max(ends[word - 1]);
    }
    ends
}

/// Returns how many characters of `zone` the pattern `name` matches, which may end in `*`. None when it does not match.
fn similarity(name: &str, zone: &str) -> Option<usize> {
    let fits = match name.strip_suffix('*') {
        Some(start) => zone.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)),
        None => name.eq_ignore_ascii_case(zone),
    };
    fits.then_some(name.len())
}

#[cfg(test)]
mod tests;
