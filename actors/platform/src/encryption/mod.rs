//! How personal texts rest: sealed, each bound to its place. Whoever reads the database without the key learns their length alone.
//!
//! A sealed text is `sealed:v1:<key id>:<base64url of nonce ‖ ciphertext ‖ tag>`, AES-256-GCM (NIST SP 800-38D) with a random nonce of 96
//! bits, under which one key may seal 2³² texts. The place (`voice_data/17`) is authenticated with it: a text moved to another row does not
//! open. A text of an older database, not sealed at all, is read as it stands.

use std::{fmt, sync::Arc};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use faceofmind_runtime::legacy::Failure;

mod round;
pub use round::{Round, Tally};

/// Who fails, when a text can be neither sealed nor opened.
pub const SERVICE: &str = "DATA_KEY";
const MARK: &str = "sealed:v1:";

/// The keys of `DATA_KEY`: the first seals, all open. Clones share them.
#[derive(Clone)]
pub struct Keyring(Arc<Vec<(String, RandomizedNonceKey)>>);

impl Keyring {
    /// `keys` are ids and 32 bytes each, that which seals first.
    ///
    /// # Errors
    /// In words, when there is no key, or one is not 32 bytes long.
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, String> {
        let key = |(id, bytes): (&str, &[u8])| match RandomizedNonceKey::new(&AES_256_GCM, bytes) {
            Ok(key) => Ok((id.to_owned(), key)),
            Err(_) => Err(format!("the key `{id}` is not 32 bytes long")),
        };
        let keys: Vec<_> = keys.into_iter().map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err("there is no key".to_owned()) } else { Ok(Self(Arc::new(keys))) }
    }

    /// Seals a text for its place, as `voice_data/17`.
    ///
    /// # Errors
    /// [`Failure::Dependency`] when the cipher refuses: a text of 64 GiB, or no randomness.
    pub fn seal(&self, place: &str, text: &str) -> Result<String, Failure> {
        let (id, key) = &self.0[0];
        let mut sealed = text.as_bytes().to_vec();
        let nonce =
            key.seal_in_place_append_tag(Aad::from(place), &mut sealed).map_err(|_| unable("it seals nothing"))?;
        let whole = [nonce.as_ref().as_slice(), &sealed].concat();
        Ok(format!("{MARK}{id}:{}", URL_SAFE_NO_PAD.encode(whole)))
    }

    /// The text that rests at this place.
    ///
    /// # Errors
    /// [`Failure::Dependency`] when its key is not in `DATA_KEY`, or it was changed or moved since it was sealed.
    pub fn open(&self, place: &str, stored: &str) -> Result<String, Failure> {
        let Some(sealed) = stored.strip_prefix(MARK) else { return Ok(stored.to_owned()) };
        let (id, sealed) = sealed.split_once(':').ok_or_else(|| damaged(place))?;
        let known = self.0.iter().find(|(known, _)| known == id);
        let (_, key) = known.ok_or_else(|| unable(&format!("{place} was sealed with `{id}`: add that key again")))?;
        decrypt(key, place, sealed).ok_or_else(|| damaged(place))
    }

    /// Whether it is sealed, and with the key that seals today.
    pub fn is_current(&self, stored: &str) -> bool {
        key_of(stored) == Some(self.current())
    }

    /// The id of the key that seals today.
    pub fn current(&self) -> &str {
        &self.0[0].0
    }

    /// Whether there is a key of this id.
    pub fn has(&self, id: &str) -> bool {
        self.0.iter().any(|(known, _)| known == id)
    }
}

/// The id of the key that sealed it; `None` where it is not sealed.
fn key_of(stored: &str) -> Option<&str> {
    let (id, _) = stored.strip_prefix(MARK)?.split_once(':')?;
    Some(id)
}

fn decrypt(key: &RandomizedNonceKey, place: &str, sealed: &str) -> Option<String> {
    let mut sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let text = key.open_in_place(nonce, Aad::from(place), text).ok()?;
    String::from_utf8(text.to_vec()).ok()
}

fn damaged(place: &str) -> Failure {
    unable(&format!("{place} was changed or moved since it was sealed"))
}

fn unable(reason: &str) -> Failure {
    Failure::Dependency { service: SERVICE, reason: reason.to_owned() }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "I feel lost — hay nako";

    fn keyring(keys: &[(&str, u8)]) -> Keyring {
        let bytes: Vec<_> = keys.iter().map(|&(id, byte)| (id, [byte; 32])).collect();
        Keyring::new(bytes.iter().map(|(id, bytes)| (*id, bytes.as_slice()))).expect("keys")
    }

    fn sealed(keyring: &Keyring) -> String {
        keyring.seal("voice_data/1", TEXT).expect("sealed")
    }

    #[test]
    fn what_was_sealed_opens_at_its_place() {
        let keyring = keyring(&[("k1", 1)]);
        let stored = sealed(&keyring);
        assert!(stored.starts_with("sealed:v1:k1:") && !stored.contains("lost"), "{stored}");
        assert_eq!(keyring.open("voice_data/1", &stored).expect("opens"), TEXT);
        assert_ne!(stored, sealed(&keyring), "a nonce is never used twice");
    }

    #[test]
    fn at_another_place_or_changed_it_does_not_open() {
        let keyring = keyring(&[("k1", 1)]);
        let stored = sealed(&keyring);
        keyring.open("voice_data/2", &stored).expect_err("moved");
        for at in MARK.len()..stored.len() {
            let mut bytes = stored.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'Q' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            let error = keyring.open("voice_data/1", &changed).expect_err("changed").to_string();
            assert!(!error.contains("lost"), "{error}");
        }
        for broken in ["sealed:v1:", "sealed:v1:k1", "sealed:v1:k1:", "sealed:v1:k1:AAAA", "sealed:v1:k1:?"] {
            keyring.open("voice_data/1", broken).expect_err(broken);
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let old = keyring(&[("k1", 1)]);
        let both = keyring(&[("k2", 2), ("k1", 1)]);
        let stored = sealed(&old);
        assert!(old.is_current(&stored) && !both.is_current(&stored));
        assert_eq!(both.open("voice_data/1", &stored).expect("opens"), TEXT);
        assert!(both.is_current(&sealed(&both)));
        let error = keyring(&[("k2", 2)]).open("voice_data/1", &stored).expect_err("its key is gone").to_string();
        assert_eq!(error, "DATA_KEY: voice_data/1 was sealed with `k1`: add that key again");
    }

    #[test]
    fn a_plain_text_of_an_older_database_stands_as_it_is() {
        let keyring = keyring(&[("k1", 1)]);
        assert_eq!(keyring.open("voice_data/1", TEXT).expect("opens"), TEXT);
        assert!(!keyring.is_current(TEXT));
    }

    #[test]
    fn keys_are_32_bytes_and_never_shown() {
        Keyring::new([]).expect_err("no key");
        Keyring::new([("k1", [1; 31].as_slice())]).expect_err("too short");
        assert_eq!(format!("{:?}", keyring(&[("k1", 7)])), r#"["k1"]"#);
    }
}
