//! Which passwords are accepted.

use faceofmind_model::Email;
use secrecy::{ExposeSecret, SecretString};
use zxcvbn::Score;

/// The app sends this password to find out whether a reset code is right, so no account may have it.
const PROBE: &str = "dummyPassword123";

const MIN_CHARS: usize = 8;
const MAX_CHARS: usize = 128;

/// The rules for a new password (NIST SP 800-63B §5.1.1.2: length, no composition rules, a strength meter).
#[derive(Clone, Copy, Debug)]
pub struct PasswordPolicy {
    /// The lowest accepted zxcvbn score, 0 to 4.
    pub min_score: u8,
}

/// Why a password was refused. The edge shows these sentences to the user. They contain "password" and never "invalid": by these words the
/// app tells a right reset code from a wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyViolation {
    /// Under 8 characters.
    #[error("The password is too short: it needs at least 8 characters.")]
    TooShort,
    /// Over 128 characters.
    #[error("The password is too long: it may have at most 128 characters.")]
    TooLong,
    /// The password that the app sends to try a code.
    #[error("This password cannot be used: please choose another.")]
    Reserved,
    /// Below the score.
    #[error("This password is too easy to guess: please choose a longer or less common password.")]
    TooWeak,
}

impl PasswordPolicy {
    /// Checks a new password. The user's own names and e-mail address make it weaker.
    ///
    /// # Errors
    /// The first rule that it violates.
    pub fn check(self, password: &SecretString, email: &Email, names: [&str; 2]) -> Result<(), PolicyViolation> {
        let password = password.expose_secret();
        match password.chars().count() {
            ..MIN_CHARS => return Err(PolicyViolation::TooShort),
            MIN_CHARS..=MAX_CHARS => {}
            _ => return Err(PolicyViolation::TooLong),
        }
        if password == PROBE {
            return Err(PolicyViolation::Reserved);
        }
        if self.min_score > 0 && self.score(password, email, names) < self.min_score {
            return Err(PolicyViolation::TooWeak);
        }
        Ok(())
    }

    fn score(self, password: &str, email: &Email, [first, last]: [&str; 2]) -> u8 {
        let own = [email.as_str(), email.as_str().split('@').next().unwrap_or_default(), first, last, "faceofmind"];
        match zxcvbn::zxcvbn(password, &own).score() {
            Score::Zero => 0,
            Score::One => 1,
            Score::Two => 2,
            Score::Three => 3,
            _ => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(min_score: u8, password: &str) -> Result<(), PolicyViolation> {
        let email = Email::parse("ada.lovelace@example.org").expect("an address");
        PasswordPolicy { min_score }.check(&SecretString::from(password.to_owned()), &email, ["Ada", "Lovelace"])
    }

    #[test]
    fn eight_to_128_characters_of_any_kind() {
        assert_eq!(check(0, "1234567"), Err(PolicyViolation::TooShort));
        assert_eq!(check(0, "ñññññññ"), Err(PolicyViolation::TooShort));
        assert_eq!(check(0, "password123"), Ok(()));
        assert_eq!(check(0, &"ñ".repeat(128)), Ok(()));
        assert_eq!(check(0, &"x".repeat(129)), Err(PolicyViolation::TooLong));
    }

    #[test]
    fn the_password_that_the_app_sends_to_try_a_code_is_refused() {
        assert_eq!(check(0, "dummyPassword123"), Err(PolicyViolation::Reserved));
    }

    #[test]
    fn the_users_own_name_is_easy_to_guess() {
        assert_eq!(check(2, "adalovelace"), Err(PolicyViolation::TooWeak));
        assert_eq!(check(2, "password123"), Err(PolicyViolation::TooWeak));
        assert_eq!(check(2, "correct horse battery"), Ok(()));
    }

    #[test]
    fn each_sentence_has_the_words_that_the_app_looks_for() {
        for refused in
            [PolicyViolation::TooShort, PolicyViolation::TooLong, PolicyViolation::Reserved, PolicyViolation::TooWeak]
        {
            let sentence = refused.to_string();
            assert!(sentence.contains("password") && !sentence.contains("Invalid"), "{sentence}");
        }
    }
}
