//! How hard a password is to guess, rated by zxcvbn (Wheeler, USENIX Security 2016).

use zxcvbn::Score;

/// The characters that are rated at a time. The time of zxcvbn grows faster than the length: on 128 look-alike symbols (p4$$w0rd) it
/// takes more than a second.
const RATED_CHARS: usize = 24;

/// Rates a password from 0 to 4. The user's own words make it weaker. A long password is as strong as the stronger of its beginning and its
/// end, at least.
pub(super) fn score(password: &str, own_words: &[String]) -> u8 {
    let [beginnings, ends] = [beginning, end].map(|part| own_words.iter().map(|word| part(word)).collect::<Vec<_>>());
    let own_words: Vec<&str> = beginnings.iter().chain(&ends).map(String::as_str).collect();
    let rate = |part: String| match zxcvbn::zxcvbn(&part, &own_words).score() {
        Score::Zero => 0,
        Score::One => 1,
        Score::Two => 2,
        Score::Three => 3,
        _ => 4,
    };
    let of_beginning = rate(beginning(password));
    if password.chars().count() <= RATED_CHARS { of_beginning } else { of_beginning.max(rate(end(password))) }
}

fn beginning(text: &str) -> String {
    text.chars().take(RATED_CHARS).collect()
}

fn end(text: &str) -> String {
    text.chars().skip(text.chars().count().saturating_sub(RATED_CHARS)).collect()
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
    fn a_long_word_of_the_user_is_easy_to_guess_too() {
        let address = "augusta.ada.king.countess.of.lovelace@analytical-engine.example.org";
        let own_words = [address.to_owned()];
        assert!(score(address, &[]) >= 2, "strangers would have to guess it");
        assert!(score(address, &own_words) < 2);
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
