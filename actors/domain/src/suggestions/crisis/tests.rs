mod sentences;

use std::collections::BTreeSet;

use self::sentences::{ALARMING, NEAR_MISSES};
use super::{super::LINES, *};

#[test]
fn the_file_is_well_formed() {
    let book = Book::read(FILE).expect("well formed");
    assert!(book.regions.contains_key(&book.default_region));
    assert!(book.answers.contains_key(ENGLISH));
    for filler in &book.fillers {
        assert!(
            !book.alarming.mentions(filler) && !book.harmless.mentions(filler),
            "{filler} never comes to the phrases"
        );
    }
}

#[test]
fn each_alarming_sentence_raises_the_alarm() {
    let missed: Vec<_> = ALARMING.iter().filter(|sentence| !speaks_of_it(sentence)).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn no_near_miss_raises_the_alarm() {
    let alarmed: Vec<_> = NEAR_MISSES.iter().filter(|sentence| speaks_of_it(sentence)).collect();
    assert!(alarmed.is_empty(), "{alarmed:#?}");
}

#[test]
fn an_alarm_is_heard_wherever_it_stands_in_a_text() {
    for (nth, alarming) in ALARMING.iter().enumerate() {
        for near_miss in NEAR_MISSES.iter().skip(nth % 7).step_by(7) {
            let (before, behind) = (format!("{near_miss}. {alarming}"), format!("{alarming}. {near_miss}"));
            assert!(speaks_of_it(&before) && speaks_of_it(&behind), "{alarming} | {near_miss}");
        }
    }
}

#[test]
fn there_are_sentences_enough_and_none_twice() {
    let distinct: BTreeSet<_> = ALARMING.iter().chain(NEAR_MISSES).collect();
    assert_eq!(distinct.len(), ALARMING.len() + NEAR_MISSES.len());
    assert!(ALARMING.len() >= 60 && NEAR_MISSES.len() >= 60);
}

#[test]
fn what_is_no_language_raises_nothing_and_breaks_nothing() {
    let odd = ["", " ", "\0", "....", "🙂🙃", "a\u{301}\u{301}\u{301}", "1553 988", "\u{202e}\u{feff}", "İßﬁ"];
    for text in odd.into_iter().map(str::to_owned).chain([" na".repeat(4000), "x".repeat(10_000), ".".repeat(10_000)]) {
        assert!(!speaks_of_it(&text), "{text}");
    }
}

#[test]
fn every_answer_is_five_lines_that_name_whom_to_call() {
    for region in BOOK.regions.values() {
        for language in BOOK.answers.keys() {
            let zone = region.zones[0].replace('*', "Anywhere");
            let advice = answer(Some(&zone), Some(language));
            assert_eq!((advice.lines.len(), advice.crisis), (LINES, true));
            assert!(advice.lines[2].contains(&region.lines) && advice.lines[3].contains(&region.emergency), "{zone}");
            assert!(advice.lines[4].contains("findahelpline.com"), "{zone}");
            assert!(advice.lines.iter().all(|line| !line.contains(['{', '}', '\n'])), "{zone} {language}");
        }
    }
}

#[test]
fn links_go_over_tls_and_can_be_joined_by_commas() {
    let urls = BOOK.urls.iter().chain(BOOK.regions.values().flat_map(|region| &region.urls));
    assert!(
        urls.clone().all(|url| url.starts_with("https://") && !url.contains(',')),
        "{:?}",
        urls.collect::<Vec<_>>()
    );
}

#[test]
fn hotlines_are_those_of_the_persons_time_zone() {
    for (zone, number) in [
        (Some("Asia/Manila"), "1553"),
        (None, "1553"),
        (Some("UTC"), "1553"),
        (Some("Mars/Base"), "1553"),
        (Some("America/New_York"), "988 Suicide"),
        (Some("america/indiana/knox"), "988 Suicide"),
        (Some("America/Toronto"), "9-8-8"),
        (Some("America/Lima"), "in your country"),
        (Some("Europe/London"), "116 123"),
        (Some("Australia/Perth"), "13 11 14"),
        (Some("Asia/Tokyo"), "in your country"),
        (Some("Europe/Łódź"), "in your country"),
    ] {
        let advice = answer(zone, None);
        assert!(advice.lines[2].contains(number), "{zone:?}: {}", advice.lines[2]);
    }
}

#[test]
fn the_philippines_are_told_the_numbers_of_the_ncmh() {
    let lines = answer(Some("Asia/Manila"), None).lines;
    for number in ["1553", "0917-899-8727", "(02) 7-989-8727"] {
        assert!(lines[2].contains(number), "{number}");
    }
    assert!(lines[3].contains("911"));
}

#[test]
fn the_language_is_the_persons_where_it_is_known() {
    let first = |language| answer(None, language).lines[0].clone();
    assert!(first(Some("fil")).starts_with("Salamat"));
    assert_eq!(first(Some("fil-PH")), first(Some("FIL")));
    assert!(first(Some("es_MX")).starts_with("Gracias"));
    for language in [None, Some("en-GB"), Some("tlh"), Some("")] {
        assert!(first(language).starts_with("Thank you"), "{language:?}");
    }
}
