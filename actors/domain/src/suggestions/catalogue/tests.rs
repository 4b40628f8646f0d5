use std::collections::BTreeSet;

use super::*;

fn request(emotion: &str, words: &str, seed: u64) -> SuggestionRequest {
    let (emotion, words) = (emotion.into(), Some(words.into()));
    SuggestionRequest { emotion, words, is_crisis: false, language: None, time_zone: None, seed }
}

fn groups() -> impl Iterator<Item = &'static EmotionGroup> {
    let General { mild, moderate, severe } = &CATALOG.general;
    CATALOG.feelings.iter().chain([mild, moderate, severe])
}

fn tips() -> impl Iterator<Item = &'static String> {
    let of_themes = CATALOG.themes.iter().flat_map(|theme| theme.hard.iter().chain(&theme.bright));
    groups().flat_map(|group| &group.tips).chain(of_themes)
}

#[test]
fn every_entry_is_well_formed() {
    let lines: Vec<_> = groups().flat_map(|group| &group.acknowledgments).chain(tips()).collect();
    for line in &lines {
        assert!((10..=200).contains(&line.chars().count()), "{line}");
        assert!(!line.contains(char::is_control) && line.trim() == **line, "{line}");
        assert!(line.ends_with(['.', '?', '…']), "{line}");
        assert!(!crate::suggestions::crisis::mentions_self_harm(line), "{line}");
    }
    assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), lines.len(), "two lines are equal");
}

#[test]
fn every_emotion_and_theme_has_enough_variants() {
    for group in groups() {
        assert!(group.acknowledgments.len() >= 3 && group.tips.len() >= 6, "{:?}", group.emotions);
    }
    for theme in &CATALOG.themes {
        assert!(theme.hard.len() >= 4 && theme.bright.len() >= 4 && !theme.words.is_empty(), "{}", theme.name);
    }
}

#[test]
fn every_known_emotion_has_its_own_entry_and_none_has_two() {
    let mut named: Vec<_> = CATALOG.feelings.iter().flat_map(|group| &group.emotions).map(String::as_str).collect();
    let mut known: Vec<_> = emotion::known().collect();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
}

#[test]
fn urls_use_https_and_can_be_joined_by_commas() {
    let urls = groups().flat_map(|group| &group.urls).chain(CATALOG.themes.iter().flat_map(|theme| &theme.urls));
    for url in urls {
        assert!(url.starts_with("https://") && !url.contains([',', ' ']), "{url}");
    }
}

#[test]
fn five_different_lines_are_returned_for_every_request() {
    let emotions = emotion::known().chain(["saudade", "", "HAPPY "]);
    for emotion in emotions {
        for words in ["", "my boss", "mama and my exam", "\0"] {
            for seed in (0..30).chain([u64::MAX]) {
                let advice = advice(&request(emotion, words, seed));
                let distinct: BTreeSet<_> = advice.lines.iter().collect();
                assert_eq!((distinct.len(), advice.crisis), (LINES, false), "{emotion} {words} {seed}");
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_lines_and_the_next_gives_others() {
    let lines = |seed| advice(&request("sad", "my boss", seed)).lines;
    assert_eq!(lines(7), lines(7));
    for (seed, next) in [(0, 1), (7, 8), (41, 42)] {
        assert_ne!(lines(seed), lines(next));
        assert_ne!(lines(seed)[0], lines(next)[0]);
    }
}

#[test]
fn every_tip_is_returned_for_some_seed() {
    let given: BTreeSet<_> = (0..100).flat_map(|seed| advice(&request("sad", "", seed)).lines).collect();
    let group = CATALOG.group("sad");
    assert_eq!(given.len(), group.acknowledgments.len() + group.tips.len());
}

#[test]
fn two_tips_are_about_the_theme_of_the_words() {
    let theme = |name: &str| CATALOG.themes.iter().find(|theme| theme.name == name).expect("in the file");
    for (words, name) in [
        ("My boss yelled at me", "work"),
        ("pagod na ako sa trabaho", "work"),
        ("I failed the exam", "study"),
        ("away kami ng jowa ko", "relationships"),
        ("nanay ko at ang kapatid ko", "family"),
        ("I can't sleep", "sleep"),
        ("hindi ako makatulog", "sleep"),
        ("wala na akong pera, puro utang", "money"),
        ("I have a fever and a headache", "health"),
        ("I feel so alone", "loneliness"),
        ("my boss and my office, says mom", "work"),
    ] {
        let lines = advice(&request("sad", words, 3)).lines;
        assert!(lines[1..3].iter().all(|line| theme(name).hard.contains(line)), "{words}: {lines:?}");
        assert!(lines[3..].iter().all(|line| CATALOG.group("sad").tips.contains(line)), "{words}: {lines:?}");
        let bright = advice(&request("happy", words, 3)).lines;
        assert!(bright[1..3].iter().all(|line| theme(name).bright.contains(line)), "{words}: {bright:?}");
    }
}

#[test]
fn without_a_theme_all_tips_are_about_the_emotion() {
    for words in ["", "la la la", "workers".get(..3).unwrap_or_default()] {
        let lines = advice(&request("sad", words, 3)).lines;
        assert!(lines[1..].iter().all(|line| CATALOG.group("sad").tips.contains(line)), "{words}");
    }
    assert_eq!(advice(&SuggestionRequest { words: None, ..request("sad", "", 3) }), advice(&request("sad", "", 3)));
}

#[test]
fn an_unknown_emotion_gets_lines_for_its_intensity() {
    let lines = advice(&request("saudade", "", 0)).lines;
    assert!(CATALOG.general.moderate.acknowledgments.contains(&lines[0]));
    assert_eq!(lines, advice(&request("  Saudade", "", 0)).lines);
}

#[test]
fn urls_are_of_the_theme_and_the_emotion_and_each_is_returned_once() {
    let advised = advice(&request("anxious", "I cannot sleep", 1)).urls;
    assert_eq!(advised, urls(&request("anxious", "I cannot sleep", 9)));
    assert_eq!(advised.iter().collect::<BTreeSet<_>>().len(), advised.len());
    assert!(!advised.is_empty());
}
