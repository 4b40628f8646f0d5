//! Splits what a person wrote into words that can be compared, however they were typed.

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// One word: lower case, without accents or apostrophes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// Whether punctuation precedes it, as between two sentences.
    pub(super) after_break: bool,
}

/// The fewest single letters in a row that are one word, spelled out: "s u i c i d e".
const MIN_SPELLED_LETTERS: usize = 4;

/// Returns the words of a text. Case, width, accents, apostrophes, invisible characters and repeated spaces make no difference. Digits
/// among letters ("k1ll") and drawn-out letters ("dieee") make none either.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let (mut word, mut after_break) = (String::new(), false);
    let shown = text.chars().filter(|&letter| !is_ignorable(letter)).flat_map(char::to_lowercase);
    for letter in shown.nfkd().filter(|&letter| !is_combining_mark(letter)) {
        match letter {
            _ if letter.is_alphanumeric() || matches!(letter, '@' | '$') => word.push(letter),
            _ => {
                finish(&mut word, &mut after_break, &mut words);
                after_break |= is_break(letter);
            }
        }
    }
    finish(&mut word, &mut after_break, &mut words);
    joined(words)
}

fn finish(word: &mut String, after_break: &mut bool, words: &mut Vec<Word>) {
    let word = std::mem::take(word);
    if word.contains(char::is_alphanumeric) {
        words.push(Word { text: plain(&word), after_break: std::mem::take(after_break) });
    }
}

/// Apostrophes, asterisks that hide a letter, and invisible characters.
fn is_ignorable(letter: char) -> bool {
    matches!(letter, '\'' | '`' | '´' | '*' | '‘' | '’' | 'ʻ' | 'ʼ' | '′' | '＇' | '\u{ad}' | '\u{feff}')
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
}

fn is_break(letter: char) -> bool {
    matches!(letter, '.' | ',' | ';' | ':' | '!' | '?' | '\n' | '—' | '–' | '(' | ')' | '"' | '。' | '、')
}

fn plain(word: &str) -> String {
    if word.chars().all(char::is_numeric) {
        return word.to_owned();
    }
    let letters: Vec<char> = word.chars().map(as_letter).collect();
    letters.chunk_by(char::eq).flat_map(|run| if run.len() > 2 { &run[..1] } else { run }).collect()
}

fn as_letter(letter: char) -> char {
    match letter {
        '0' => 'o',
        '1' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        _ => letter,
    }
}

fn joined(words: Vec<Word>) -> Vec<Word> {
    let is_letter = |word: &Word| word.text.chars().count() == 1;
    let runs = words.chunk_by(|one, next| is_letter(one) && is_letter(next));
    runs.flat_map(|run| if run.len() >= MIN_SPELLED_LETTERS { vec![one_of(run)] } else { run.to_vec() }).collect()
}

fn one_of(run: &[Word]) -> Word {
    Word { text: run.iter().map(|word| word.text.as_str()).collect(), after_break: run[0].after_break }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_the_same_however_they_are_typed() {
        let same = [
            "don't die",
            "DON’T   DIE",
            "ｄｏｎ＇ｔ　ｄｉｅ",
            "dón`t\tdïe",
            "do\u{200b}nt d\u{ad}ie",
            "dont. dieeee",
            "d0nt d1e",
            "d*on't \"die\"!",
        ];
        for text in same {
            assert_eq!(texts(text), ["dont", "die"], "{text}");
        }
    }

    #[test]
    fn spelled_letters_are_a_word_and_fewer_than_four_are_not() {
        assert_eq!(texts("s u i c i d e"), ["suicide"]);
        assert_eq!(texts("plan a b c"), ["plan", "a", "b", "c"]);
    }

    #[test]
    fn numbers_are_kept_and_signs_alone_are_dropped() {
        assert_eq!(texts("1553 @ $ 🙂 1000"), ["1553", "1000"]);
    }

    #[test]
    fn punctuation_before_a_word_is_recorded() {
        let breaks: Vec<bool> = words("never. kill-myself, now").iter().map(|word| word.after_break).collect();
        assert_eq!(breaks, [false, true, false, true]);
    }
}
