//! Notices of several tries as one mail.

use super::*;

/// Returns the notices of several tries.
pub(super) fn folded(count: u32) -> [MailTemplate; 2] {
    let (first_name, tries) = ("Ada Lovelace".to_owned(), tries(count));
    [
        MailTemplate::AlreadyRegistered { first_name: first_name.clone(), tries: tries.clone() },
        MailTemplate::AddressTaken { first_name, tries },
    ]
}

#[test]
fn several_tries_are_counted_and_dated_in_both_parts() {
    for (count, shown) in [(14, "14"), (u32::MAX, "99999")] {
        for template in folded(count) {
            for (language, times) in [("en", "times"), ("fil", "beses na may")] {
                let envelope = Envelope { language: Language::nearest(language), ..envelope("ada@example.org") };
                let rendered = renderer().text(&template, envelope).expect("it renders");
                for part in [rendered.text, rendered.html] {
                    for fact in [&format!("{shown} {times}"), "2026-03-05, 14:05", "2026-03-05, 15:05"] {
                        assert!(part.contains(fact), "{fact}: {part}");
                    }
                    assert_eq!(long_numbers(&part), [""; 0], "no number is taken for a code: {part}");
                }
            }
        }
    }
}
