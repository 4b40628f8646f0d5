//! Keyed hashes, stored in place of addresses, codes and clients. A reader of the store without the key learns nothing from them.

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// HMAC-SHA256 (RFC 2104) under the key of one module, so that two modules hash the same address differently.
#[derive(Clone)]
pub(crate) struct KeyedHash(hmac::Key);

impl KeyedHash {
    /// Derives the key of the module with this label from the program's `key`.
    pub(crate) fn new(key: &[u8], label: &'static str) -> Self {
        let whole = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&whole, label.as_bytes()).as_ref()))
    }

    /// Returns 43 characters of base64url. Each part is hashed after its length, so `("ab", "c")` is not `("a", "bc")`.
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
    fn key_label_and_part_boundaries_change_the_hash() {
        let hash = KeyedHash::new(b"one key", "otp");
        assert_eq!(hash.of(&["ab", "c"]), KeyedHash::new(b"one key", "otp").of(&["ab", "c"]));
        assert_ne!(hash.of(&["ab", "c"]), hash.of(&["a", "bc"]));
        assert_ne!(hash.of(&["ab"]), KeyedHash::new(b"one key", "limits").of(&["ab"]));
        assert_ne!(hash.of(&["ab"]), KeyedHash::new(b"another", "otp").of(&["ab"]));
        assert_eq!(hash.of(&["ab"]).len(), 43);
    }
}
