//! The six digits that a person types.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A one-time code of six ASCII digits, leading zeros included.
///
/// Neither `Debug` nor anything else prints it; it is wiped from memory when dropped. There is no `==`: codes are
/// compared by their keyed hashes.
#[derive(Clone)]
pub struct OtpCode(SecretString);

impl OtpCode {
    /// How many codes there are. A code that cannot be guessed is `from_number(rng.random_below(OtpCode::COUNT))`.
    pub const COUNT: u32 = 1_000_000;

    /// The code that shows the last six digits of `number`.
    pub fn from_number(number: u32) -> Self {
        Self(format!("{:06}", number % Self::COUNT).into())
    }

    /// The code in what a person typed: six ASCII digits, with whatever space was pasted around them.
    pub fn parse(typed: &str) -> Option<Self> {
        let typed = typed.trim();
        let six_digits = typed.len() == 6 && typed.bytes().all(|byte| byte.is_ascii_digit());
        six_digits.then(|| Self(typed.into()))
    }

    /// The six digits, for the mail that carries them and for the keyed hash that remembers them.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for OtpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtpCode")
    }
}

/// A token of 128 random bits, which a mailed link carries in the place of a code. It cannot be guessed.
///
/// It is 32 characters from a to p, without digits: a code is the only run of six digits in a mail. `Debug` does not print it.
#[derive(Clone)]
pub struct LinkToken(SecretString);

impl LinkToken {
    /// The token of these random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(alphabetic(&random).into())
    }

    /// The token in what a client sent in the place of a code.
    pub fn parse(sent: &str) -> Option<Self> {
        let is_token = sent.len() == 32 && sent.bytes().all(|byte| (b'a'..=b'p').contains(&byte));
        is_token.then(|| Self(sent.into()))
    }

    /// The characters, for the mail that carries them and for the keyed hash that is stored.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkToken")
    }
}

/// Each byte as two characters from a to p.
pub fn alphabetic(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|half| char::from(b'a' + half)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_six_digits() {
        assert_eq!(OtpCode::from_number(0).reveal(), "000000");
        assert_eq!(OtpCode::from_number(4711).reveal(), "004711");
        assert_eq!(OtpCode::from_number(OtpCode::COUNT - 1).reveal(), "999999");
    }

    #[test]
    fn what_was_minted_is_read_back() {
        let code = OtpCode::from_number(90_210);
        assert_eq!(OtpCode::parse(code.reveal()).expect("reads its own print").reveal(), "090210");
        assert_eq!(OtpCode::parse(" 090210\n").expect("space around it is forgiven").reveal(), "090210");
    }

    #[test]
    fn anything_but_six_ascii_digits_is_no_code() {
        for typed in ["", "12345", "1234567", "12 456", "12345a", "+12345", "-12345", "١٢٣٤٥٦", "１２３４５６", "éé12"]
        {
            assert!(OtpCode::parse(typed).is_none(), "{typed:?}");
        }
    }

    #[test]
    fn a_token_has_no_digits_and_is_no_code() {
        let token = LinkToken::new(*b"0123456789abcdef");
        assert_eq!(token.reveal(), "dadbdcdddedfdgdhdidjgbgcgdgegfgg");
        assert!(LinkToken::parse(token.reveal()).is_some() && OtpCode::parse(token.reveal()).is_none());
        for sent in ["", "123456", "dadbdcdddedfdgdhdidjgbgcgdgegfg", "dadbdcdddedfdgdhdidjgbgcgdgegfgz"] {
            assert!(LinkToken::parse(sent).is_none(), "{sent:?}");
        }
        assert_eq!(format!("{token:?}"), "LinkToken");
    }

    #[test]
    fn debug_prints_no_digit() {
        let printed = format!("{:?}", OtpCode::from_number(123_456));
        assert!(!printed.contains(|c: char| c.is_ascii_digit()), "{printed}");
    }
}
