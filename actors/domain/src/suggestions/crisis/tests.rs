mod figures;
mod sentences;
mod turns;

use std::collections::BTreeSet;

use self::sentences::{ALARMING, NEAR_MISSES};
use super::{super::LINES, *};

#[test]
fn the_file_is_well_formed() {
    let phrases = CrisisPhrases::read(FILE).expect("well formed");
    assert!(phrases.regions.contains_key(&phrases.default_region));
    assert!(phrases.answers.contains_key(ENGLISH));
    assert!(phrases.alarming > 350);
}

#[test]
fn a_filler_in_a_phrase_is_refused() {
    let with_filler = FILE.replacen("\"kms\"", "\"kms really\"", 1);
    assert!(CrisisPhrases::read(&with_filler).is_err_and(|error| error.contains("kms really")));
}

#[test]
fn each_alarming_sentence_is_recognised() {
    let missed: Vec<_> = ALARMING.iter().filter(|sentence| !mentions_self_harm(sentence)).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn no_near_miss_is_taken_for_a_mention() {
    let alarmed: Vec<_> = NEAR_MISSES.iter().filter(|sentence| mentions_self_harm(sentence)).collect();
    assert!(alarmed.is_empty(), "{alarmed:#?}");
}

#[test]
fn an_alarming_sentence_is_recognised_before_and_after_others() {
    for (nth, alarming) in ALARMING.iter().enumerate() {
        for near_miss in NEAR_MISSES.iter().skip(nth % 7).step_by(7) {
            let (before, behind) = (format!("{near_miss}. {alarming}"), format!("{alarming}. {near_miss}"));
            assert!(mentions_self_harm(&before) && mentions_self_harm(&behind), "{alarming} | {near_miss}");
        }
    }
}

#[test]
fn there_are_enough_sentences_and_all_differ() {
    let distinct: BTreeSet<_> = ALARMING.iter().chain(NEAR_MISSES).collect();
    assert_eq!(distinct.len(), ALARMING.len() + NEAR_MISSES.len());
    assert!(ALARMING.len() >= 60 && NEAR_MISSES.len() >= 60);
}

/// A search whose time is quadratic in the length does not end here within minutes.
#[test]
fn a_large_text_is_searched_to_its_end_whatever_it_holds() {
    for text in [
        "I don't want to die. ",
        "no ",
        "ordinary words of a day ",
        "ﷺ",
        "ﬃ ",
        "k1ll ",
        "a.",
        "죽",
        "не ",
        "suicide squad ",
    ] {
        let large = text.repeat((1 << 18) / text.len());
        assert!(mentions_self_harm(&format!("{large} . I want to kill myself")), "{text}");
    }
}

#[test]
fn texts_without_language_are_no_mention() {
    let odd = ["", " ", "\0", "....", "🙂🙃", "a\u{301}\u{301}\u{301}", "1553 988", "\u{202e}\u{feff}", "İßﬁ"];
    for text in odd.into_iter().map(str::to_owned).chain([" na".repeat(4000), "x".repeat(10_000), ".".repeat(10_000)]) {
        assert!(!mentions_self_harm(&text), "{text}");
    }
}

#[test]
fn every_answer_has_five_lines_with_the_hotlines() {
    for region in PHRASES.regions.values() {
        for language in PHRASES.answers.keys() {
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
fn urls_use_https_and_can_be_joined_by_commas() {
    let urls = PHRASES.urls.iter().chain(PHRASES.regions.values().flat_map(|region| &region.urls));
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
fn the_hotlines_of_the_philippines_are_those_of_the_ncmh() {
    let lines = answer(Some("Asia/Manila"), None).lines;
    for number in ["1553", "0917-899-8727", "(02) 7-989-8727"] {
        assert!(lines[2].contains(number), "{number}");
    }
    assert!(lines[3].contains("911"));
}

#[test]
fn the_answer_is_in_the_persons_language_where_the_file_has_it() {
    let first = |language| answer(None, language).lines[0].clone();
    assert!(first(Some("fil")).starts_with("Salamat"));
    assert_eq!(first(Some("fil-PH")), first(Some("FIL")));
    assert!(first(Some("es_MX")).starts_with("Gracias"));
    for language in [None, Some("en-GB"), Some("tlh"), Some("")] {
        assert!(first(language).starts_with("Thank you"), "{language:?}");
    }
}
