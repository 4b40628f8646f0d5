//! Other people's words, made harmless before they are mailed.
//!
//! Anyone may register anyone's address, under any name. Without care the name becomes a text of the stranger's choice,
//! sent by us, past the spam filter, to a person of the stranger's choice: a link to a forged log-in page, a false code,
//! a telephone number to call. So what somebody typed is shown as one short line in which a mail program finds nothing
//! to click and a reader finds no second code. A real name comes through unchanged, save that `J.R.` becomes `J. R.`.

/// The most characters of anybody's words that go into a mail.
pub const LONGEST: usize = 100;

/// One line of at most [`LONGEST`] characters, without control or invisible characters, without anything that mail
/// programs turn into a link, and without six digits in a row (of any script). Escaping for HTML is the template's.
///
/// ```
/// use faceofmind_actors::mailer::defuse::defuse;
/// assert_eq!(defuse("Ada\r\nBcc: x@evil.example https://evil.example/123456"),
///     "Ada Bcc: x@evil. example https: //evil. example/••••••");
/// ```
pub fn defuse(words: &str) -> String {
    cut(&without_links(&without_long_numbers(&one_visible_line(words))))
}

fn one_visible_line(words: &str) -> String {
    let visible: String =
        words.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|&c| !is_invisible(c)).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Unicode's format characters (category Cf, as far as they matter here) and tags. They show nothing themselves, yet
/// can turn the order of what follows (U+202E) or hide a link or a number from the rules below (U+200B).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Six digits in a row would be taken for the code, by people and by programs; the code is to be the only ones.
fn without_long_numbers(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    let runs = chars.chunk_by(|a, b| a.is_numeric() == b.is_numeric());
    runs.flat_map(|run| {
        let masked = run.len() >= 6 && run[0].is_numeric();
        run.iter().map(move |&c| if masked { '•' } else { c })
    })
    .collect()
}

/// A space after every dot and colon that has none: it ends schemes (`https:`), hosts (`evil.example`, `www.`) and
/// IP addresses for every program that makes links. The one point of a decimal number (`Chrome/120.0`) stays.
fn without_links(line: &str) -> String {
    let mut broken = String::with_capacity(line.len() * 2);
    let mut before = [' ', ' '];
    let mut in_fraction = false;
    for c in line.chars() {
        let [earlier, joint] = before;
        let decimal = joint == '.' && earlier.is_ascii_digit() && c.is_ascii_digit() && !in_fraction;
        in_fraction = decimal || (in_fraction && joint.is_ascii_digit());
        if is_joint(joint) && c != ' ' && !decimal {
            broken.push(' ');
        }
        broken.push(c);
        before = [joint, c];
    }
    broken
}

/// Dots and colons, and what browsers take for them in a host's name (UTS #46 maps these to `.`).
fn is_joint(c: char) -> bool {
    matches!(c, '.' | '\u{2024}' | '\u{3002}' | '\u{FE52}' | '\u{FF0E}' | '\u{FF61}' | ':' | '\u{FE55}' | '\u{FF1A}')
}

fn cut(line: &str) -> String {
    if line.chars().count() <= LONGEST {
        return line.to_owned();
    }
    let kept: String = line.chars().take(LONGEST - 1).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_name_comes_through_unchanged() {
        for name in [
            "Ada Lovelace",
            "José Rizal",
            "María Clara de los Santos y Alba",
            "O'Brien",
            "王小明",
            "Anne-Marie St. John",
            "Ma. Cristina 3",
        ] {
            assert_eq!(defuse(name), name);
        }
    }

    #[test]
    fn a_device_stays_recognisable() {
        assert_eq!(defuse("Firefox 132.0 on Linux"), "Firefox 132.0 on Linux");
        assert_eq!(
            defuse("Mozilla/5.0 (X11; Linux; rv:109.0) Gecko/20100101 Firefox/115.0"),
            "Mozilla/5.0 (X11; Linux; rv: 109.0) Gecko/•••••••• Firefox/115.0"
        );
        assert_eq!(defuse("Chrome/120.0.6099.109 Mobile"), "Chrome/120.0. 6099.109 Mobile");
    }

    #[test]
    fn nothing_is_left_to_click() {
        for (typed, shown) in [
            ("https://evil.example/login", "https: //evil. example/login"),
            ("HTTP:evil.example", "HTTP: evil. example"),
            ("www.evil.example", "www. evil. example"),
            ("www.1evil.example", "www. 1evil. example"),
            ("evil.example", "evil. example"),
            ("evil。example", "evil。 example"),
            ("evil．example", "evil． example"),
            ("ev\u{200b}il\u{2060}.\u{feff}example", "evil. example"),
            ("evil.\u{200b}example", "evil. example"),
            ("mailto:a@evil.example", "mailto: a@evil. example"),
            ("203.0.113.7/login", "203.0. 113.7/login"),
            ("tel:911", "tel: 911"),
            ("a...b", "a. . . b"),
        ] {
            assert_eq!(defuse(typed), shown);
        }
    }

    #[test]
    fn no_line_break_and_no_turned_text_survives() {
        assert_eq!(defuse("Ada\r\nBcc: all\u{2028}of\u{85}you\0\t!"), "Ada Bcc: all of you !");
        assert_eq!(defuse("Ada \u{202e}elpmaxe\u{202c}"), "Ada elpmaxe");
        assert_eq!(defuse("\u{200b}\r\n\u{7f}"), "");
    }

    #[test]
    fn six_digits_in_a_row_are_masked_in_any_script() {
        assert_eq!(defuse("Ada 12345"), "Ada 12345");
        assert_eq!(defuse("Ada 123456"), "Ada ••••••");
        assert_eq!(defuse("x1234567x"), "x•••••••x");
        assert_eq!(defuse("123\u{200b}456"), "••••••");
        assert_eq!(defuse("１２３٤٥٦"), "••••••");
    }

    #[test]
    fn the_longest_words_are_cut() {
        assert_eq!(defuse(&"ñ".repeat(LONGEST)).chars().count(), LONGEST);
        assert_eq!(defuse(&"a.".repeat(5_000)).chars().count(), LONGEST - 1);
        let cut = defuse(&"ñ".repeat(LONGEST + 1));
        assert_eq!((cut.chars().count(), cut.chars().last()), (LONGEST, Some('…')));
    }
}
