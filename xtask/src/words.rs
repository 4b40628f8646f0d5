//! `cargo xtask words`: fails where a file uses a word that the project has retired, alone or as a part of a name. To retire a word or to
//! allow a phrase, add an entry to `words/list.rs`.

mod list;

use std::{collections::BTreeSet, fmt, fs, path::Path, process::ExitCode};

use anyhow::Result;

use self::list::{ALLOWED, Allowed, COMMENTS_ONLY, EXEMPT, NAMES, PEOPLE, Retired, TEMPLATES};
use crate::workspace::Workspace;

/// A word of a file in lower case. `HouseSettings` and `house_settings` are two words each.
#[derive(Debug, PartialEq)]
struct Word {
    text: String,
    line: usize,
    /// Whether it is one of several words of a name.
    is_part: bool,
}

/// A retired word in a file.
struct Finding<'a> {
    file: &'a Path,
    word: &'a Word,
    instead: &'static str,
}

pub(crate) fn run() -> Result<ExitCode> {
    let workspace = Workspace::read()?;
    let mut used = [false; ALLOWED.len()];
    let mut findings = 0;
    for file in workspace.files()?.iter().filter(|file| !is_listed(file, EXEMPT)) {
        // A file that is not UTF-8 holds no words.
        let Ok(content) = fs::read_to_string(workspace.root.join(file)) else { continue };
        for finding in check(file, &words(&content, is_listed(file, COMMENTS_ONLY)), &mut used) {
            println!("{finding}");
            findings += 1;
        }
    }
    let unused: Vec<_> =
        ALLOWED.iter().zip(used).filter(|(_, used)| !used).map(|(allowed, _)| allowed.phrase).collect();
    for phrase in &unused {
        println!("xtask/src/words/list.rs: no file contains the allowed phrase \"{phrase}\"; remove it");
    }
    eprintln!("{findings} retired words, {} unused allowances", unused.len());
    Ok(if findings == 0 && unused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_listed(file: &Path, list: &[&str]) -> bool {
    list.iter().any(|listed| file.starts_with(listed) || file.ends_with(listed))
}

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, word, instead } = self;
        write!(f, "{}:{}: \"{}\" is retired; write {instead}", file.display(), word.line, word.text)
    }
}

/// The retired words of one file, without those inside an allowed phrase. Marks in `used` which of [`ALLOWED`] applied.
fn check<'a>(file: &'a Path, words: &'a [Word], used: &mut [bool]) -> Vec<Finding<'a>> {
    let is_template = file.extension().is_some_and(|extension| TEMPLATES.iter().any(|template| extension == *template));
    let allowed = allowed(file, words, ALLOWED, used);
    let candidates = words.iter().enumerate().filter(|(index, _)| !allowed.contains(index));
    let finding = |(_, word): (_, &'a Word)| Some(Finding { file, word, instead: instead_of(word, is_template)? });
    candidates.filter_map(finding).collect()
}

fn instead_of(word: &Word, is_template: bool) -> Option<&'static str> {
    let people = if word.is_part || is_template { &[] } else { PEOPLE };
    let is_retired = |retired: &&Retired| retired.words.contains(&word.text.as_str());
    NAMES.iter().chain(people).find(is_retired).map(|retired| retired.instead)
}

/// The indices of the words inside allowed phrases.
fn allowed(file: &Path, words: &[Word], allowances: &[Allowed], used: &mut [bool]) -> BTreeSet<usize> {
    let mut indices = BTreeSet::new();
    for (allowed, used) in allowances.iter().zip(used).filter(|(allowed, _)| is_listed(file, &[allowed.only_in])) {
        let phrase: Vec<_> = allowed.phrase.split(' ').collect();
        for (index, window) in words.windows(phrase.len()).enumerate() {
            if window.iter().map(|word| word.text.as_str()).eq(phrase.iter().copied()) {
                *used = true;
                indices.extend(index..index + phrase.len());
            }
        }
    }
    indices
}

/// The words of a text, or those of its lines that begin with `#`.
fn words(text: &str, comments_only: bool) -> Vec<Word> {
    let mut words = Vec::new();
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !comments_only || line.trim_start().starts_with('#'));
    for (line, text) in lines {
        for name in text.split(|c: char| !c.is_alphanumeric() && c != '_') {
            let parts: Vec<_> = name.split(|c: char| !c.is_alphabetic()).flat_map(humps).collect();
            let is_part = parts.len() > 1;
            words.extend(parts.into_iter().map(|part| Word { text: part.to_lowercase(), line, is_part }));
        }
    }
    words
}

/// Splits `HTTPServer` and `httpServer` before each word.
fn humps(name: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let chars: Vec<_> = name.char_indices().collect();
    for (index, window) in chars.windows(2).enumerate() {
        let [(_, before), (at, here)] = [window[0], window[1]];
        let next_is_lower = chars.get(index + 2).is_some_and(|(_, next)| next.is_lowercase());
        if here.is_uppercase() && (before.is_lowercase() || next_is_lower) {
            parts.push(&name[start..at]);
            start = at;
        }
    }
    parts.push(&name[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, content: &str) -> Vec<String> {
        let words = words(content, false);
        let findings = check(Path::new(file), &words, &mut [false; ALLOWED.len()]);
        findings.iter().map(|finding| format!("{}:{}", finding.word.line, finding.word.text)).collect()
    }

    #[test]
    fn a_retired_word_is_found_alone_and_in_every_style_of_name() {
        for name in ["The house.", "HOUSE_SETTINGS", "open_house", "HouseSettings", "openHouse", "HTTPHouse", "house2"]
        {
            assert_eq!(found("a.rs", &format!("\n{name}\n")), ["2:house"], "{name}");
        }
    }

    #[test]
    fn a_word_that_only_contains_a_retired_word_is_not_found() {
        assert!(found("a.rs", "warehouse background letterhead desktop bedrooms").is_empty());
    }

    #[test]
    fn people_are_found_in_sentences_and_not_in_names_nor_in_mails() {
        assert_eq!(found("a.rs", "Nobody asks, whoever\nfn nobody_asks() {}"), ["1:nobody", "1:whoever"]);
        assert!(found("a.txt", "Nobody reads answers to it.").is_empty());
    }

    #[test]
    fn an_allowed_phrase_may_be_a_name_or_go_on_in_the_next_line() {
        assert!(found("a.rs", "dead letter, DeadLetter, DEAD_LETTER; // a dead\n    // letter").is_empty());
        assert_eq!(found("a.rs", "a letter; dead.\n"), ["1:letter"]);
    }

    #[test]
    fn an_allowance_holds_in_its_file_and_is_used_when_its_phrase_occurs_there() {
        let allowance = |phrase, only_in| Allowed { phrase, only_in, ..ALLOWED[0] };
        let allowances = [allowance("dead letter", ""), allowance("ground truth", ""), allowance("dead", "b/c.rs")];
        let mut used = [false; 3];
        let words = words("the dead letter", false);
        assert_eq!(allowed(Path::new("b/d.rs"), &words, &allowances, &mut used), BTreeSet::from([1, 2]));
        assert_eq!(used, [true, false, false]);
        allowed(Path::new("a/b/c.rs"), &words, &allowances, &mut used);
        assert_eq!(used, [true, false, true]);
    }

    #[test]
    fn of_a_file_of_phrases_only_the_comments_are_read() {
        let words = words("# One\na = \"two\"\n  # three", true);
        assert_eq!(words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>(), ["one", "three"]);
    }
}
