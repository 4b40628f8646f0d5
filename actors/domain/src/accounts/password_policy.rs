//! Which passwords are accepted.

use secrecy::{ExposeSecret, SecretString};

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

/// Why a password was refused. `admin create` prints these sentences, and the edge has the same. They contain "password" and never "invalid":
/// by these words the app tells a right reset code from a wrong one.
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
    /// Checks a new password but for its strength, which the password hasher rates.
    ///
    /// # Errors
    /// The first rule that it violates.
    pub fn check(password: &SecretString) -> Result<(), PolicyViolation> {
        if Self::is_reserved(password) {
            return Err(PolicyViolation::Reserved);
        }
        match password.expose_secret().chars().count() {
            ..MIN_CHARS => Err(PolicyViolation::TooShort),
            MIN_CHARS..=MAX_CHARS => Ok(()),
            _ => Err(PolicyViolation::TooLong),
        }
    }

    /// Whether it is the password that the app sends to try a reset code.
    pub(crate) fn is_reserved(password: &SecretString) -> bool {
        password.expose_secret() == PROBE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> Result<(), PolicyViolation> {
        PasswordPolicy::check(&SecretString::from(password.to_owned()))
    }

    #[test]
    fn eight_to_128_characters_of_any_kind() {
        assert_eq!(check("1234567"), Err(PolicyViolation::TooShort));
        assert_eq!(check("ñññññññ"), Err(PolicyViolation::TooShort));
        assert_eq!(check("password123"), Ok(()));
        assert_eq!(check(&"ñ".repeat(128)), Ok(()));
        assert_eq!(check(&"x".repeat(129)), Err(PolicyViolation::TooLong));
    }

    #[test]
    fn the_password_that_the_app_sends_to_try_a_code_is_refused() {
        assert_eq!(check("dummyPassword123"), Err(PolicyViolation::Reserved));
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
