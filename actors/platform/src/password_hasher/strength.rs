//! How hard a password is to guess, rated by zxcvbn (Wheeler, USENIX Security 2016).

use zxcvbn::Score;

/// The characters that are rated at a time. The time of zxcvbn grows faster than the length: on 128 look-alike symbols (p4$$w0rd) it
/// takes more than a second.
const RATED_CHARS: usize = 24;

/// Rates a password from 0 to 4. The user's own words make it weaker. A long password is as strong as the stronger of its beginning and its
/// end, at least.
pub(super) fn score(password: &str, own_words: &[String]) -> u8 {
    let own_words: Vec<&str> = own_words.iter().map(String::as_str).collect();
    let rate = |part: String| match zxcvbn::zxcvbn(&part, &own_words).score() {
        Score::Zero => 0,
        Score::One => 1,
        Score::Two => 2,
        Score::Three => 3,
        _ => 4,
    };
    let chars: Vec<char> = password.chars().collect();
    let beginning = rate(chars.iter().take(RATED_CHARS).collect());
    if chars.len() <= RATED_CHARS {
        return beginning;
    }
    beginning.max(rate(chars[chars.len() - RATED_CHARS..].iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(password: &str) -> u8 {
        score(password, &["ada".to_owned(), "lovelace".to_owned(), "faceofmind".to_owned()])
    }

    #[test]
    fn the_users_own_words_are_easy_to_guess() {
        assert!(rate("adalovelace") < 2 && rate("password123") < 2);
        assert!(rate("correct horse battery") >= 2);
    }

    #[test]
    fn a_long_password_is_as_strong_as_its_stronger_end() {
        let weak = "a".repeat(RATED_CHARS);
        assert!(rate(&weak.repeat(3)) < 2);
        assert!(rate(&format!("{weak}correct horse battery")) >= 2);
        assert!(rate(&format!("correct horse battery{weak}")) >= 2);
        assert!(rate(&format!("{}ñandú correct horse", "ñ".repeat(40))) >= 2, "characters, not bytes");
    }
}
