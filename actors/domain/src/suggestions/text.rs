//! Splits what a person wrote into words that can be compared, however they were typed.

use faceofmind_model::text::is_invisible;
use unicode_normalization::char::{compose, decompose_compatible, is_combining_mark};

use super::look_alikes::{as_letter, enclosed, latin};

/// The fewest single letters in a row that are one word, spelled out: "s u i c i d e".
const MIN_SPELLED_LETTERS: usize = 4;
/// Parts of a word that are joined in [`Reading::Joined`] have at most this number of letters: "sui.cide", and not "suicide-prevention".
const MAX_JOINED_PART: usize = 5;
/// A ligature that stands for more letters than this is a whole sentence ("ﷺ", 18 letters), and no word of ours. It is left out, so that
/// a text does not grow.
const MAX_LIGATURE: usize = 4;

/// How characters within a word are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Punctuation separates words: "self-harm" is "self harm".
    Apart,
    /// Punctuation between short parts was put there to hide a word: "sui.cide" is "suicide", "k!ll" is "kill".
    Joined,
}

/// How a word was typed, which decides with which spelling of a form it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Plain,
    /// With digits, signs or look-alikes for letters: "k1ll". I and l are then the same.
    Substituted,
    /// With stars for letters: "k*ll". All vowels are then stars.
    Masked,
}

impl Spelling {
    /// The characters around a word of this spelling in [`Words::text`]. No word contains them.
    pub(super) const fn delimiters(self) -> (char, char) {
        match self {
            Self::Plain => ('\u{1}', '\u{2}'),
            Self::Substituted => ('\u{3}', '\u{4}'),
            Self::Masked => ('\u{5}', '\u{6}'),
        }
    }

    /// Returns a plain word in this spelling.
    pub(super) fn of(self, plain: &str) -> String {
        let mut spelled = String::with_capacity(plain.len());
        let mut run = Run::new(&mut spelled, self);
        plain.chars().for_each(|letter| run.push(letter));
        spelled
    }

    const fn letter(self, letter: char) -> char {
        match (self, letter) {
            (Self::Substituted, 'l') => 'i',
            (Self::Masked, 'a' | 'e' | 'i' | 'o' | 'u') => MASK,
            _ => letter,
        }
    }
}

/// Stands for a hidden letter.
const MASK: char = '*';

/// One word of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Where it ends in [`Words::text`], with its delimiter.
    pub(super) end: usize,
    /// Whether punctuation precedes it, as between two sentences.
    pub(super) after_break: bool,
}

/// The words of a text, lower case, without accents or apostrophes, repeated letters once ("kil" for "kill" and "killll").
#[derive(Debug)]
pub(super) struct Words {
    /// Each between the delimiters of its spelling.
    pub(super) text: String,
    pub(super) words: Vec<Word>,
    /// Whether [`Reading::Joined`] may differ.
    pub(super) has_joints: bool,
}

impl Words {
    /// Reads a text, in time and memory proportional to its length. Case, width, accents, apostrophes, invisible characters and repeated
    /// letters make no difference. Digits and look-alikes among letters ("k1ll") make none either.
    pub(super) fn read(text: &str, reading: Reading) -> Self {
        let mut reader = Reader::new(text.len(), reading);
        for c in text.chars() {
            reader.read(c);
        }
        reader.finish_chunk();
        reader.finish_spelled();
        reader.words
    }
}

struct Reader {
    reading: Reading,
    words: Words,
    /// The parts of the chunk between two spaces: letters, and whether punctuation precedes the part. Several only in
    /// [`Reading::Joined`].
    parts: Vec<(Vec<char>, bool)>,
    /// The part being read.
    part: Vec<char>,
    after_break: bool,
    /// Whether a part of this chunk is finished.
    has_part: bool,
    /// Words of one letter that may be one word, spelled out.
    spelled: Vec<(char, bool)>,
}

impl Reader {
    fn new(bytes: usize, reading: Reading) -> Self {
        let words = Words { text: String::with_capacity(bytes + bytes / 2), words: Vec::new(), has_joints: false };
        let (parts, part, spelled) = (Vec::new(), Vec::new(), Vec::new());
        Self { reading, words, parts, part, after_break: false, has_part: false, spelled }
    }

    fn read(&mut self, c: char) {
        if c.is_ascii() || has_no_case(c) {
            return self.read_simple(c.to_ascii_lowercase());
        }
        if is_invisible(c) || is_apostrophe(c) {
            return;
        }
        if let Some(letter) = enclosed(c) {
            return self.read_simple(letter);
        }
        let c = if matches!(c, 'ß' | 'ẞ') { 's' } else { c };
        let (mut simple, mut count) = (['\0'; MAX_LIGATURE], 0);
        decompose_compatible(c, |part| {
            if !is_combining_mark(part) {
                if let Some(place) = simple.get_mut(count) {
                    *place = part;
                }
                count += 1;
            }
        });
        let simple = simple.get(..count).unwrap_or_default();
        for lower in simple.iter().flat_map(|letter| letter.to_lowercase()).filter(|&letter| !is_combining_mark(letter))
        {
            self.read_simple(lower);
        }
    }

    fn read_simple(&mut self, c: char) {
        let is_letter = match c {
            '@' | '$' => true,
            MASK | '#' | '€' => !self.part.is_empty(),
            '!' | '|' | '¡' | '+' => self.reading == Reading::Joined && !self.part.is_empty(),
            '\u{400}'..='\u{481}' => true,
            _ => has_no_case(c) || c.is_alphanumeric(),
        };
        if is_letter {
            self.words.has_joints |= self.has_part && self.part.is_empty();
            match self.part.last_mut() {
                // Hangul in parts.
                Some(last) if is_jamo(c) && compose(*last, c).is_some() => *last = compose(*last, c).unwrap_or(*last),
                _ => self.part.push(if c == '#' { MASK } else { c }),
            }
        } else if !is_apostrophe(c) && c != MASK {
            self.separate(c);
        }
    }

    fn separate(&mut self, c: char) {
        if c.is_whitespace() {
            self.finish_chunk();
            self.has_part = false;
        } else {
            self.finish_part();
        }
        self.after_break |= is_break(c);
    }

    fn finish_part(&mut self) {
        let is_sign = |c: &char| matches!(c, &MASK | '!' | '|' | '¡' | '+');
        let kept = self.part.iter().rposition(|c| !is_sign(c)).map_or(0, |last| last + 1);
        self.part.truncate(kept);
        if !self.part.iter().any(|c| c.is_alphanumeric()) {
            return self.part.clear();
        }
        self.words.has_joints |= is_disguised(&self.part);
        self.has_part = true;
        let after_break = std::mem::take(&mut self.after_break);
        match self.reading {
            Reading::Joined => self.parts.push((std::mem::take(&mut self.part), after_break)),
            Reading::Apart => {
                let part = std::mem::take(&mut self.part);
                self.add(&part, after_break);
                self.part = part;
                self.part.clear();
            }
        }
    }

    /// Adds the parts of a chunk, as one word where all are short.
    fn finish_chunk(&mut self) {
        self.finish_part();
        let parts = std::mem::take(&mut self.parts);
        let Some((_, after_break)) = parts.first() else { return };
        if parts.iter().all(|(part, _)| part.len() <= MAX_JOINED_PART) {
            let joined: Vec<char> = parts.iter().flat_map(|(part, _)| part).copied().collect();
            return self.add(&joined, *after_break);
        }
        for (part, after_break) in &parts {
            self.add(part, *after_break);
        }
    }

    fn add(&mut self, word: &[char], after_break: bool) {
        if let [letter] = word {
            return self.spelled.push((*letter, after_break));
        }
        self.finish_spelled();
        self.push(word, after_break);
    }

    /// Adds a word that was spelled out, or its letters where they are too few. "I" may precede it.
    fn finish_spelled(&mut self) {
        let spelled = std::mem::take(&mut self.spelled);
        let alone = match spelled.len() {
            ..MIN_SPELLED_LETTERS => spelled.len(),
            MIN_SPELLED_LETTERS => 0,
            _ => usize::from(spelled[0].0 == 'i'),
        };
        for (letter, after_break) in &spelled[..alone] {
            self.push(&[*letter], *after_break);
        }
        if let Some((_, after_break)) = spelled.get(alone) {
            let word: Vec<char> = spelled[alone..].iter().map(|(letter, _)| *letter).collect();
            self.push(&word, *after_break);
        }
    }

    fn push(&mut self, word: &[char], after_break: bool) {
        let text = &mut self.words.text;
        let (letters, spelling) = Letters::of(word, self.reading);
        let (open, close) = spelling.delimiters();
        text.push(open);
        if letters == Letters::Number {
            text.extend(word);
        } else {
            let mut run = Run::new(text, spelling);
            word.iter().for_each(|&c| run.push(letters.read(c)));
        }
        text.push(close);
        self.words.words.push(Word { end: text.len(), after_break });
    }
}

/// What the characters of one word stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Letters {
    /// Themselves: no letter is among them.
    Number,
    /// Themselves, but for digits and signs.
    OtherScript,
    /// Look-alikes of other scripts stand for Latin letters too.
    Latin,
}

impl Letters {
    fn of(word: &[char], reading: Reading) -> (Self, Spelling) {
        if !word.iter().any(|c| c.is_alphabetic()) {
            return (Self::Number, Spelling::Plain);
        }
        let is_latin = word.iter().any(char::is_ascii_alphabetic) || (reading == Reading::Joined && is_disguised(word));
        let letters = if is_latin { Self::Latin } else { Self::OtherScript };
        let spelling = match word {
            _ if word.contains(&MASK) => Spelling::Masked,
            _ if word.iter().any(|&c| letters.read(c) != c) => Spelling::Substituted,
            _ => Spelling::Plain,
        };
        (letters, spelling)
    }

    fn read(self, c: char) -> char {
        if self == Self::OtherScript && latin(c).is_some() { c } else { as_letter(c) }
    }
}

/// Whether a word consists of look-alikes of Latin letters. Words of other scripts may do so by chance.
fn is_disguised(word: &[char]) -> bool {
    word.iter().all(|&c| latin(c).is_some())
}

/// Writes the letters of a word, repeated ones once. Of a plain word, two vowels in a row are kept ("noose" is not "nose").
struct Run<'a> {
    text: &'a mut String,
    spelling: Spelling,
    last: char,
    len: usize,
}

impl<'a> Run<'a> {
    fn new(text: &'a mut String, spelling: Spelling) -> Self {
        Self { text, spelling, last: '\0', len: 0 }
    }

    fn push(&mut self, c: char) {
        let letter = self.spelling.letter(c);
        self.len = if letter == self.last { self.len + 1 } else { 1 };
        self.last = letter;
        let is_double = self.spelling == Spelling::Plain && matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u');
        match self.len {
            1 => self.text.push(letter),
            2 if is_double => self.text.push(letter),
            3 if is_double => drop(self.text.pop()),
            _ => {}
        }
    }
}

/// Letters of the scripts of East Asia, which have no case, accents or look-alikes. That they are letters is known here without a look into
/// the tables of Unicode.
fn has_no_case(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
        || matches!(c, '\u{ac00}'..='\u{d7a3}')
}

/// A vowel or a final consonant of Hangul, which joins what precedes it.
fn is_jamo(c: char) -> bool {
    matches!(c, '\u{1161}'..='\u{1175}' | '\u{11a8}'..='\u{11c2}')
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '`' | '´' | '‘' | '’' | 'ʻ' | 'ʼ' | '′' | '＇')
}

fn is_break(c: char) -> bool {
    matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '\n' | '—' | '–' | '(' | ')' | '"' | '。' | '、')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, reading: Reading) -> Vec<String> {
        let Words { text, words, .. } = Words::read(text, reading);
        let begins = [0].into_iter().chain(words.iter().map(|word| word.end));
        begins
            .zip(&words)
            .map(|(begin, word)| text[begin..word.end].trim_matches(char::is_control).to_owned())
            .collect()
    }

    fn apart(text: &str) -> Vec<String> {
        texts(text, Reading::Apart)
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
            "don't \"die\"!",
            "𝐃𝐎𝐍𝐓 𝕕𝕚𝕖",
            "ⓓⓞⓝⓣ 🅓🅘🅔",
            "dont dіе",
            "d\u{335}o\u{336}n\u{337}t d\u{338}i\u{339}e\u{33a}",
            "**dont** *die*",
        ];
        for text in same {
            assert_eq!(apart(text), ["dont", "die"], "{text}");
        }
    }

    #[test]
    fn spelled_letters_are_a_word_and_fewer_than_four_are_not() {
        assert_eq!(apart("s u i c i d e"), ["suicide"]);
        assert_eq!(apart("k.i.l.l"), ["kil"]);
        assert_eq!(apart("i k i l l"), ["i", "kil"]);
        assert_eq!(apart("plan a b c"), ["plan", "a", "b", "c"]);
    }

    #[test]
    fn numbers_are_kept_and_signs_alone_are_dropped() {
        assert_eq!(apart("1553 @ $ 🙂 1000"), ["1553", "1000"]);
    }

    #[test]
    fn punctuation_before_a_word_is_recorded() {
        let Words { words, .. } = Words::read("never. kill-myself, now", Reading::Apart);
        assert_eq!(words.iter().map(|word| word.after_break).collect::<Vec<_>>(), [false, true, false, true]);
    }

    #[test]
    fn punctuation_between_short_parts_can_be_left_out() {
        let text = "a su.i.cide k!ll suicide-prevention ki💀l";
        assert!(Words::read(text, Reading::Apart).has_joints);
        assert_eq!(texts(text, Reading::Joined), ["a", "suicide", "ki", "suicide", "prevention", "kil"]);
        assert!(!Words::read("nothing here, or there!", Reading::Apart).has_joints);
    }

    #[test]
    fn hidden_letters_are_like_vowels_and_i_is_like_l_among_digits() {
        assert_eq!(apart("k*ll"), [Spelling::Masked.of("kil")]);
        assert_eq!(apart("su*cide"), [Spelling::Masked.of("suicide")]);
        assert_eq!(apart("k1l1"), [Spelling::Substituted.of("kil")]);
    }

    #[test]
    fn hangul_is_the_same_in_syllables_and_in_parts() {
        assert_eq!(apart("죽고"), apart("\u{110c}\u{116e}\u{11a8}\u{1100}\u{1169}"));
    }

    #[test]
    fn a_text_does_not_grow_beyond_the_marks_around_its_words() {
        for text in ["ﷺ", "ﷺ ", "ﬃ", "㍿", "⑳", "죽", "a ", "🅰"] {
            let long = text.repeat(1000);
            let read = Words::read(&long, Reading::Apart).text.len();
            assert!(read <= 4 * long.len() + 2, "{text}: {read} of {}", long.len());
        }
    }
}
