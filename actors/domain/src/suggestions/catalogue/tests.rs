use std::collections::BTreeSet;

use super::*;

fn ask(emotion: &str, words: &str, seed: u64) -> Ask {
    Ask { emotion: emotion.into(), words: Some(words.into()), language: None, time_zone: None, seed }
}

fn feelings() -> impl Iterator<Item = &'static Feeling> {
    let General { mild, moderate, severe } = &BOOK.general;
    BOOK.feelings.iter().chain([mild, moderate, severe])
}

fn tips() -> impl Iterator<Item = &'static String> {
    let of_themes = BOOK.themes.iter().flat_map(|theme| theme.hard.iter().chain(&theme.bright));
    feelings().flat_map(|feeling| &feeling.tips).chain(of_themes)
}

#[test]
fn every_entry_is_well_formed() {
    let lines: Vec<_> = feelings().flat_map(|feeling| &feeling.acknowledgments).chain(tips()).collect();
    for line in &lines {
        assert!((10..=200).contains(&line.chars().count()), "{line}");
        assert!(!line.contains(char::is_control) && line.trim() == **line, "{line}");
        assert!(line.ends_with(['.', '?', '…']), "{line}");
        assert!(!crate::suggestions::crisis::speaks_of_it(line), "{line}");
    }
    assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), lines.len(), "a line stands twice");
}

#[test]
fn there_are_variants_enough() {
    for feeling in feelings() {
        assert!(feeling.acknowledgments.len() >= 3 && feeling.tips.len() >= 6, "{:?}", feeling.emotions);
    }
    for theme in &BOOK.themes {
        assert!(theme.hard.len() >= 4 && theme.bright.len() >= 4 && !theme.words.is_empty(), "{}", theme.name);
    }
}

#[test]
fn every_known_emotion_has_its_own_entry_and_none_has_two() {
    let mut named: Vec<_> = BOOK.feelings.iter().flat_map(|feeling| &feeling.emotions).map(String::as_str).collect();
    let mut known: Vec<_> = emotion::known().collect();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
}

#[test]
fn links_go_over_tls_and_can_be_joined_by_commas() {
    let urls = feelings().flat_map(|feeling| &feeling.urls).chain(BOOK.themes.iter().flat_map(|theme| &theme.urls));
    for url in urls {
        assert!(url.starts_with("https://") && !url.contains([',', ' ']), "{url}");
    }
}

#[test]
fn five_different_lines_are_given_whatever_is_asked() {
    let emotions = emotion::known().chain(["saudade", "", "HAPPY "]);
    for emotion in emotions {
        for words in ["", "my boss", "mama and my exam", "\0"] {
            for seed in (0..30).chain([u64::MAX]) {
                let advice = advice(&ask(emotion, words, seed));
                let distinct: BTreeSet<_> = advice.lines.iter().collect();
                assert_eq!((distinct.len(), advice.crisis), (LINES, false), "{emotion} {words} {seed}");
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_lines_and_the_next_gives_others() {
    let lines = |seed| advice(&ask("sad", "my boss", seed)).lines;
    assert_eq!(lines(7), lines(7));
    for (seed, next) in [(0, 1), (7, 8), (41, 42)] {
        assert_ne!(lines(seed), lines(next));
        assert_ne!(lines(seed)[0], lines(next)[0]);
    }
}

#[test]
fn every_tip_comes_up() {
    let given: BTreeSet<_> = (0..100).flat_map(|seed| advice(&ask("sad", "", seed)).lines).collect();
    let feeling = BOOK.feeling("sad");
    assert_eq!(given.len(), feeling.acknowledgments.len() + feeling.tips.len());
}

#[test]
fn two_tips_are_about_what_was_said() {
    let theme = |name: &str| BOOK.themes.iter().find(|theme| theme.name == name).expect("it stands in the file");
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
        let lines = advice(&ask("sad", words, 3)).lines;
        assert!(lines[1..3].iter().all(|line| theme(name).hard.contains(line)), "{words}: {lines:?}");
        assert!(lines[3..].iter().all(|line| BOOK.feeling("sad").tips.contains(line)), "{words}: {lines:?}");
        let bright = advice(&ask("happy", words, 3)).lines;
        assert!(bright[1..3].iter().all(|line| theme(name).bright.contains(line)), "{words}: {bright:?}");
    }
}

#[test]
fn without_words_that_are_known_all_tips_are_about_the_emotion() {
    for words in ["", "la la la", "workers".get(..3).unwrap_or_default()] {
        let lines = advice(&ask("sad", words, 3)).lines;
        assert!(lines[1..].iter().all(|line| BOOK.feeling("sad").tips.contains(line)), "{words}");
    }
    assert_eq!(advice(&Ask { words: None, ..ask("sad", "", 3) }), advice(&ask("sad", "", 3)));
}

#[test]
fn an_unknown_emotion_gets_what_fits_its_intensity() {
    let lines = advice(&ask("saudade", "", 0)).lines;
    assert!(BOOK.general.moderate.acknowledgments.contains(&lines[0]));
    assert_eq!(lines, advice(&ask("  Saudade", "", 0)).lines);
}

#[test]
fn links_are_of_the_theme_and_the_emotion_and_none_comes_twice() {
    let advised = advice(&ask("anxious", "I cannot sleep", 1)).urls;
    assert_eq!(advised, urls(&ask("anxious", "I cannot sleep", 9)));
    assert_eq!(advised.iter().collect::<BTreeSet<_>>().len(), advised.len());
    assert!(!advised.is_empty());
}
