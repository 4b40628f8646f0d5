//! The access tokens whose signatures were checked lately. A client sends the same token for half an hour, and a look-up by its SHA-256 costs
//! less than base64, an HMAC and JSON. Whether the login of a token has ended is not remembered here.

use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;

/// The most tokens, some 2 MB.
const CAPACITY: u64 = 10_000;

/// Digests of tokens, and what the tokens say. No token can be made of one.
pub(super) struct VerifiedTokens<T>(Cache<[u8; 32], T>);

impl<T: Copy + Send + Sync + 'static> VerifiedTokens<T> {
    pub(super) fn new() -> Self {
        Self(Cache::new(CAPACITY))
    }

    /// Returns what the token says, as remembered or as `verify` reads it. A token that is not valid is verified each time.
    pub(super) fn get_or_verify(&self, token: &str, verify: impl FnOnce() -> Option<T>) -> Option<T> {
        let key = <[u8; 32]>::try_from(digest(&SHA256, token.as_bytes()).as_ref()).ok()?;
        if let Some(known) = self.0.get(&key) {
            return Some(known);
        }
        let verified = verify()?;
        self.0.insert(key, verified);
        Some(verified)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_valid_token_is_verified_once_and_an_invalid_one_each_time() {
        let (tokens, verified) = (VerifiedTokens::new(), Cell::new(0));
        let read = |text, outcome| {
            tokens.get_or_verify(text, || {
                verified.set(verified.get() + 1);
                outcome
            })
        };
        assert_eq!((read("a", Some(7)), read("a", None), verified.get()), (Some(7), Some(7), 1));
        assert_eq!((read("b", None), read("b", Some(8)), verified.get()), (None, Some(8), 3));
    }
}
