//! What stands in a store in place of an address, a code or a client: whoever reads the store without the key learns nothing.

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// HMAC-SHA256 (RFC 2104) under the key of one room, so that two rooms hash the same address differently.
#[derive(Clone)]
pub(crate) struct KeyedHash(hmac::Key);

impl KeyedHash {
    /// The hash of `room` under the program's `key`.
    pub(crate) fn new(key: &[u8], room: &'static str) -> Self {
        let whole = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&whole, room.as_bytes()).as_ref()))
    }

    /// 43 characters of base64url. Each part goes in after its length: `("ab", "c")` is not `("a", "bc")`.
    pub(crate) fn of(&self, parts: &[&str]) -> String {
        let mut hash = hmac::Context::with_key(&self.0);
        for part in parts {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(hash.sign())
    }
}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_room_and_the_cut_between_parts_all_count() {
        let hash = KeyedHash::new(b"one key", "otp");
        assert_eq!(hash.of(&["ab", "c"]), KeyedHash::new(b"one key", "otp").of(&["ab", "c"]));
        assert_ne!(hash.of(&["ab", "c"]), hash.of(&["a", "bc"]));
        assert_ne!(hash.of(&["ab"]), KeyedHash::new(b"one key", "limits").of(&["ab"]));
        assert_ne!(hash.of(&["ab"]), KeyedHash::new(b"another", "otp").of(&["ab"]));
        assert_eq!(hash.of(&["ab"]).len(), 43);
    }
}
