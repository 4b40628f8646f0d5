//! Which passwords are taken.

use faceofmind_runtime::legacy::Failure;
use secrecy::{ExposeSecret, SecretString};
use zxcvbn::Score;

use super::Email;

/// What the app sends as a new password to find out whether a reset code is right. Nobody may have it.
const PROBE: &str = "dummyPassword123";

const SHORTEST: usize = 8;
const LONGEST: usize = 128;

/// The rules that a new password has to pass (NIST SP 800-63B §5.1.1.2: length, no composition rules, a strength meter).
#[derive(Clone, Copy, Debug)]
pub struct PasswordRules {
    /// The least score by zxcvbn, 0 to 4.
    pub min_score: u8,
}

/// Why a password is not taken, as one sentence for the person. It says "password" and never "invalid": the app tells a right reset
/// code from a wrong one by those words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefused {
    /// Under 8 characters.
    #[error("The password is too short: it needs at least 8 characters.")]
    TooShort,
    /// Over 128 characters.
    #[error("The password is too long: it may have at most 128 characters.")]
    TooLong,
    /// The app's probe.
    #[error("This password cannot be used: please choose another.")]
    Reserved,
    /// Below the score.
    #[error("This password is too easy to guess: please choose a longer or less common password.")]
    TooWeak,
}

impl PasswordRules {
    /// Judges a new password; the person's own names and e-mail count against it.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn judge(self, password: &SecretString, email: &Email, names: [&str; 2]) -> Result<(), PasswordRefused> {
        let password = password.expose_secret();
        match password.chars().count() {
            ..SHORTEST => return Err(PasswordRefused::TooShort),
            SHORTEST..=LONGEST => {}
            _ => return Err(PasswordRefused::TooLong),
        }
        if password == PROBE {
            return Err(PasswordRefused::Reserved);
        }
        if self.min_score > 0 && self.score(password, email, names) < self.min_score {
            return Err(PasswordRefused::TooWeak);
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

/// Why a password was not set.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The code is wrong, expired or used up.
    #[error("Invalid or expired OTP.")]
    BadCode,
    /// The current password is another.
    #[error("The current password is not right.")]
    WrongPassword,
    /// The new one breaks a rule.
    #[error(transparent)]
    Refused(#[from] PasswordRefused),
    /// Too many wrong tries.
    #[error("Too many attempts.")]
    TooMany {
        /// When to try again.
        retry_after: std::time::Duration,
    },
    /// Not done, and nothing written.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<faceofmind_db::StoreError> for PasswordError {
    fn from(error: faceofmind_db::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(min_score: u8, password: &str) -> Result<(), PasswordRefused> {
        let email = Email::parse("ada.lovelace@example.org").expect("an address");
        PasswordRules { min_score }.judge(&SecretString::from(password.to_owned()), &email, ["Ada", "Lovelace"])
    }

    #[test]
    fn eight_to_128_characters_of_any_kind() {
        assert_eq!(judge(0, "1234567"), Err(PasswordRefused::TooShort));
        assert_eq!(judge(0, "ñññññññ"), Err(PasswordRefused::TooShort));
        assert_eq!(judge(0, "password123"), Ok(()));
        assert_eq!(judge(0, &"ñ".repeat(128)), Ok(()));
        assert_eq!(judge(0, &"x".repeat(129)), Err(PasswordRefused::TooLong));
    }

    #[test]
    fn the_apps_probe_is_nobodys_password() {
        assert_eq!(judge(0, "dummyPassword123"), Err(PasswordRefused::Reserved));
    }

    #[test]
    fn ones_own_name_is_easy_to_guess() {
        assert_eq!(judge(2, "adalovelace"), Err(PasswordRefused::TooWeak));
        assert_eq!(judge(2, "password123"), Err(PasswordRefused::TooWeak));
        assert_eq!(judge(2, "correct horse battery"), Ok(()));
    }

    #[test]
    fn the_words_the_app_looks_for() {
        for refused in
            [PasswordRefused::TooShort, PasswordRefused::TooLong, PasswordRefused::Reserved, PasswordRefused::TooWeak]
        {
            let sentence = refused.to_string();
            assert!(sentence.contains("password") && !sentence.contains("Invalid"), "{sentence}");
        }
    }
}
