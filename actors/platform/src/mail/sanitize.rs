//! Makes text that clients sent harmless before it is mailed.
//!
//! A client can register any address under any name. Unsanitized, the name would be a text of an attacker's choice, mailed from our sender
//! to a victim of the attacker's choice: a link to a forged login page, a false code, a telephone number to call. So the text is shown as
//! one short line without anything that a mail program makes clickable and without a second code. A real name stays unchanged, except that
//! `J.R.` becomes `J. R.`.

/// The most characters of a sanitized text.
pub const MAX_LENGTH: usize = 100;

/// Returns one line of at most [`MAX_LENGTH`] characters, without control characters and invisible characters, without anything that mail
/// programs turn into a link, and without six digits in a row (of any script). The template escapes HTML.
///
/// ```
/// use faceofmind_platform::mail::sanitize::sanitize;
/// assert_eq!(sanitize("Ada\r\nBcc: x@evil.example https://evil.example/123456"),
///     "Ada Bcc: x@evil. example https: //evil. example/••••••");
/// ```
pub fn sanitize(text: &str) -> String {
    cut(&without_links(&without_long_numbers(&one_visible_line(text))))
}

/// Returns the name, [sanitized](sanitize), or nothing where it could be a message: a link, also one written without a scheme or with other
/// dots, a telephone number, or a word that asks the recipient to do something. A mail without a name greets neutrally.
///
/// ```
/// use faceofmind_platform::mail::sanitize::harmless_name;
/// assert_eq!(harmless_name("Ma. Cristina"), "Ma. Cristina");
/// assert_eq!(harmless_name("evil。example"), "");
/// ```
pub fn harmless_name(text: &str) -> String {
    let line = one_visible_line(text);
    if is_link(&line) || is_number(&line) || asks_to_act(&line) { String::new() } else { sanitize(text) }
}

/// Returns the text of a person for that person, without control characters other than line breaks. The template escapes HTML.
pub fn as_typed(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars().filter(|&c| c == '\n' || !c.is_control()).collect()
}

/// Whether a person or a program could take a part of the line for an address: a dot within a word or with a space before it, a dot before a
/// top-level domain, or a character of a URL or a mail address. `J.R.` and `St. John` are names.
fn is_link(line: &str) -> bool {
    if line.contains(['@', '＠', '/', '／', '\\', '\u{2044}', '\u{2215}', '[', '(', '<']) {
        return true;
    }
    let chars: Vec<char> = line.chars().collect();
    let joins = |at: usize| {
        let is_close = chars.get(at + 1).is_some_and(|c| c.is_alphanumeric());
        let is_apart = at > 0 && chars[at - 1] == ' ';
        match chars[at] {
            // As in Catalan.
            '·' => !(at > 0 && matches!(chars[at - 1], 'l' | 'L') && matches!(chars.get(at + 1), Some('l' | 'L'))),
            '.' => {
                let after: String =
                    chars[at + 1..].iter().skip_while(|c| **c == ' ').take_while(|c| c.is_alphanumeric()).collect();
                (is_close && after.chars().count() > 1)
                    || is_apart
                    || TOP_LEVEL.contains(&after.to_lowercase().as_str())
            }
            c => is_joint(c) || OTHER_DOTS.contains(&c),
        }
    };
    (0..chars.len()).any(joins)
}

/// Characters that look like a dot, beside those of [`is_joint`].
const OTHER_DOTS: [char; 12] = ['•', '∙', '⋅', '●', '◦', '‧', '･', '・', '。', '۔', '܁', '꘎'];

/// Top-level domains that phishing uses much, and those of our users.
const TOP_LEVEL: [&str; 24] = [
    "com", "net", "org", "info", "xyz", "top", "online", "site", "shop", "app", "dev", "link", "click", "live", "icu",
    "cc", "io", "ph", "cn", "ru", "tk", "ml", "vip", "example",
];

/// Whether the line holds a telephone number or a code: five digits or more, or four words for digits. `Ada 3` is a name.
fn is_number(line: &str) -> bool {
    let digits = line.chars().filter(|c| c.is_numeric()).count();
    digits >= 5 || words(line).filter(|word| DIGITS.contains(&word.as_str())).count() >= 4
}

const DIGITS: [&str; 11] = ["zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

fn asks_to_act(line: &str) -> bool {
    words(line).any(|word| ACTIONS.contains(&word.as_str()))
}

/// Words of an instruction, in the languages of the mails, and `dot` in place of a dot.
const ACTIONS: [&str; 21] = [
    "call", "calls", "dial", "hotline", "tel", "whatsapp", "viber", "telegram", "sms", "click", "visit", "login",
    "verify", "http", "https", "www", "dot", "tawag", "tumawag", "tawagan", "pindutin",
];

fn words(line: &str) -> impl Iterator<Item = String> {
    line.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase)
}

fn one_visible_line(text: &str) -> String {
    let visible: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|&c| !is_invisible(c)).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Unicode's format characters (category Cf, as far as they matter here) and tags. They are invisible, but can reverse the text after them
/// (U+202E) or hide a link or a number from the rules below (U+200B).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Masks runs of six digits or more. People and programs would take them for the code.
fn without_long_numbers(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    let runs = chars.chunk_by(|a, b| a.is_numeric() == b.is_numeric());
    runs.flat_map(|run| {
        let masked = run.len() >= 6 && run[0].is_numeric();
        run.iter().map(move |&c| if masked { '•' } else { c })
    })
    .collect()
}

/// Adds a space after every dot and colon that has none. It breaks schemes (`https:`), hosts (`evil.example`, `www.`) and IP addresses for
/// every program that makes links. The one point of a decimal number (`Chrome/120.0`) stays.
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

/// Dots and colons, and the characters that browsers read as such in a host name (UTS #46 maps them to `.`).
fn is_joint(c: char) -> bool {
    matches!(c, '.' | '\u{2024}' | '\u{3002}' | '\u{FE52}' | '\u{FF0E}' | '\u{FF61}' | ':' | '\u{FE55}' | '\u{FF1A}')
}

fn cut(line: &str) -> String {
    if line.chars().count() <= MAX_LENGTH {
        return line.to_owned();
    }
    let kept: String = line.chars().take(MAX_LENGTH - 1).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_name_stays_unchanged() {
        for name in [
            "Ada Lovelace",
            "José Rizal",
            "María Clara de los Santos y Alba",
            "O'Brien",
            "王小明",
            "Anne-Marie St. John",
            "Ma. Cristina 3",
        ] {
            assert_eq!(sanitize(name), name);
        }
    }

    #[test]
    fn a_name_that_is_a_message_is_left_out() {
        for name in [
            "https://evil.example",
            "evil.example",
            "evil .example",
            "evil . example",
            "Log in at evil. com",
            "evil dot com",
            "evil[.]com",
            "evil。example",
            "evil․com",
            "evil·com",
            "evil\u{200b}.\u{200b}com",
            "ada@evil",
            "evil/login",
            "0917 123 4567",
            "Call this number",
            "zero nine one seven",
            "Tumawag ka",
            "٠٩١٧١٢",
        ] {
            assert_eq!(harmless_name(name), "", "{name}");
        }
        for name in
            ["Ada Lovelace", "Anne-Marie St. John", "Ma. Cristina 3", "Gal·la", "Callum", "Ada 1815", "王小明", "J. R."]
        {
            assert_eq!(harmless_name(name), name);
        }
        assert_eq!(harmless_name("J.R. Tolkien"), "J. R. Tolkien");
    }

    #[test]
    fn a_text_for_its_author_stays_as_typed() {
        let typed = "Call Dr. Cruz, +63 917 123 4567, https://clinic.example/a?b=1 👩\u{200d}⚕️ ".repeat(20);
        assert_eq!(as_typed(&typed), typed);
        assert_eq!(as_typed("Ada\0\r\nBcc:\u{1b}[1m x\u{7f}"), "Ada\nBcc:[1m x");
    }

    #[test]
    fn a_device_stays_recognizable() {
        assert_eq!(sanitize("Firefox 132.0 on Linux"), "Firefox 132.0 on Linux");
        assert_eq!(
            sanitize("Mozilla/5.0 (X11; Linux; rv:109.0) Gecko/20100101 Firefox/115.0"),
            "Mozilla/5.0 (X11; Linux; rv: 109.0) Gecko/•••••••• Firefox/115.0"
        );
        assert_eq!(sanitize("Chrome/120.0.6099.109 Mobile"), "Chrome/120.0. 6099.109 Mobile");
    }

    #[test]
    fn nothing_stays_clickable() {
        for (text, shown) in [
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
            assert_eq!(sanitize(text), shown);
        }
    }

    #[test]
    fn line_breaks_and_reversed_text_are_removed() {
        assert_eq!(sanitize("Ada\r\nBcc: all\u{2028}of\u{85}you\0\t!"), "Ada Bcc: all of you !");
        assert_eq!(sanitize("Ada \u{202e}elpmaxe\u{202c}"), "Ada elpmaxe");
        assert_eq!(sanitize("\u{200b}\r\n\u{7f}"), "");
    }

    #[test]
    fn six_digits_in_a_row_are_masked_in_any_script() {
        assert_eq!(sanitize("Ada 12345"), "Ada 12345");
        assert_eq!(sanitize("Ada 123456"), "Ada ••••••");
        assert_eq!(sanitize("x1234567x"), "x•••••••x");
        assert_eq!(sanitize("123\u{200b}456"), "••••••");
        assert_eq!(sanitize("１２３٤٥٦"), "••••••");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(sanitize(&"ñ".repeat(MAX_LENGTH)).chars().count(), MAX_LENGTH);
        assert_eq!(sanitize(&"a.".repeat(5_000)).chars().count(), MAX_LENGTH - 1);
        let cut = sanitize(&"ñ".repeat(MAX_LENGTH + 1));
        assert_eq!((cut.chars().count(), cut.chars().last()), (MAX_LENGTH, Some('…')));
    }
}
