//! Encryption of personal texts at rest. A reader of the database without the key learns their length and nothing more.
//!
//! An encrypted text is `sealed:v1:<key id>:<base64url of nonce ‖ ciphertext ‖ tag>`: AES-256-GCM (NIST SP 800-38D) with a random nonce of
//! 96 bits, under which one key may encrypt 2³² texts. The place of the text (`voice_data/17`) is its additional authenticated data (AAD),
//! so a text that was moved to another row is not decrypted. A text of an older database that is not encrypted is returned as it is.

use std::{fmt, sync::Arc};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use faceofmind_db::StoreError;

mod rotation;

pub use rotation::{RotationPass, RotationStats};

const PREFIX: &str = "sealed:v1:";

/// The keys of `DATA_KEY`: the first encrypts, all decrypt. Clones share them. `Debug` shows their ids alone.
#[derive(Clone)]
pub struct Keyring(Arc<Vec<(String, RandomizedNonceKey)>>);

/// Why a text was not encrypted or decrypted. It quotes no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    /// The key is not in `DATA_KEY`.
    #[error("{aad} was encrypted with `{key}`: add that key to DATA_KEY again")]
    UnknownKey { aad: String, key: String },
    /// The text is not what was encrypted at this place.
    #[error("{aad} was changed or moved since it was encrypted")]
    Corrupt { aad: String },
    /// The cipher refused: the text has 64 GiB, or the system has no randomness.
    #[error("{aad} could not be encrypted")]
    Refused { aad: String },
}

/// A text that cannot be decrypted is stored data that cannot be read.
impl From<EncryptionError> for StoreError {
    fn from(error: EncryptionError) -> Self {
        match error {
            EncryptionError::Refused { .. } => Self::encode(error),
            _ => Self::corrupt(error.to_string()),
        }
    }
}

impl Keyring {
    /// `keys` are ids and 32 bytes each. The first one encrypts.
    ///
    /// # Errors
    /// There is no key, or a key is not 32 bytes long.
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, String> {
        let key = |(id, bytes): (&str, &[u8])| match RandomizedNonceKey::new(&AES_256_GCM, bytes) {
            Ok(key) => Ok((id.to_owned(), key)),
            Err(_) => Err(format!("the key `{id}` is not 32 bytes long")),
        };
        let keys: Vec<_> = keys.into_iter().map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err("there is no key".to_owned()) } else { Ok(Self(Arc::new(keys))) }
    }

    /// Encrypts a text for its place, such as `voice_data/17`.
    ///
    /// # Errors
    /// [`EncryptionError::Refused`].
    pub fn encrypt(&self, aad: &str, text: &str) -> Result<String, EncryptionError> {
        let (id, key) = &self.0[0];
        let mut ciphertext = text.as_bytes().to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(aad), &mut ciphertext)
            .map_err(|_| EncryptionError::Refused { aad: aad.to_owned() })?;
        let whole = [nonce.as_ref().as_slice(), &ciphertext].concat();
        Ok(format!("{PREFIX}{id}:{}", URL_SAFE_NO_PAD.encode(whole)))
    }

    /// Decrypts the text stored at this place.
    ///
    /// # Errors
    /// [`EncryptionError::UnknownKey`], [`EncryptionError::Corrupt`].
    pub fn decrypt(&self, aad: &str, stored: &str) -> Result<String, EncryptionError> {
        let Some(encrypted) = stored.strip_prefix(PREFIX) else { return Ok(stored.to_owned()) };
        let corrupt = || EncryptionError::Corrupt { aad: aad.to_owned() };
        let (id, encoded) = encrypted.split_once(':').ok_or_else(corrupt)?;
        let unknown = || EncryptionError::UnknownKey { aad: aad.to_owned(), key: id.to_owned() };
        let (_, key) = self.0.iter().find(|(known, _)| known == id).ok_or_else(unknown)?;
        decrypt(key, aad, encoded).ok_or_else(corrupt)
    }

    /// Whether the text is encrypted with the current key.
    pub fn is_current(&self, stored: &str) -> bool {
        key_id(stored) == Some(self.current())
    }

    /// The id of the key that encrypts.
    pub fn current(&self) -> &str {
        &self.0[0].0
    }

    /// Whether there is a key of this id.
    pub fn has(&self, id: &str) -> bool {
        self.0.iter().any(|(known, _)| known == id)
    }
}

/// Returns the id of the key that encrypted the text; `None` where it is not encrypted.
fn key_id(stored: &str) -> Option<&str> {
    let (id, _) = stored.strip_prefix(PREFIX)?.split_once(':')?;
    Some(id)
}

fn decrypt(key: &RandomizedNonceKey, aad: &str, encoded: &str) -> Option<String> {
    let mut bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let text = key.open_in_place(nonce, Aad::from(aad), text).ok()?;
    String::from_utf8(text.to_vec()).ok()
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

    fn encrypted(keyring: &Keyring) -> String {
        keyring.encrypt("voice_data/1", TEXT).expect("encrypts")
    }

    #[test]
    fn an_encrypted_text_is_decrypted_at_its_place() {
        let keyring = keyring(&[("k1", 1)]);
        let stored = encrypted(&keyring);
        assert!(stored.starts_with("sealed:v1:k1:") && !stored.contains("lost"), "{stored}");
        assert_eq!(keyring.decrypt("voice_data/1", &stored).expect("decrypts"), TEXT);
        assert_ne!(stored, encrypted(&keyring), "a nonce is never used twice");
    }

    #[test]
    fn a_moved_or_changed_text_is_not_decrypted() {
        let keyring = keyring(&[("k1", 1)]);
        let stored = encrypted(&keyring);
        keyring.decrypt("voice_data/2", &stored).expect_err("moved");
        for at in PREFIX.len()..stored.len() {
            let mut bytes = stored.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'Q' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            let error = keyring.decrypt("voice_data/1", &changed).expect_err("changed").to_string();
            assert!(!error.contains("lost"), "{error}");
        }
        for broken in ["sealed:v1:", "sealed:v1:k1", "sealed:v1:k1:", "sealed:v1:k1:AAAA", "sealed:v1:k1:?"] {
            keyring.decrypt("voice_data/1", broken).expect_err(broken);
        }
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let old = keyring(&[("k1", 1)]);
        let both = keyring(&[("k2", 2), ("k1", 1)]);
        let stored = encrypted(&old);
        assert!(old.is_current(&stored) && !both.is_current(&stored));
        assert_eq!(both.decrypt("voice_data/1", &stored).expect("decrypts"), TEXT);
        assert!(both.is_current(&encrypted(&both)));
        let error = keyring(&[("k2", 2)]).decrypt("voice_data/1", &stored).expect_err("its key is gone").to_string();
        assert_eq!(error, "voice_data/1 was encrypted with `k1`: add that key to DATA_KEY again");
    }

    #[test]
    fn a_plain_text_of_an_older_database_is_returned_as_it_is() {
        let keyring = keyring(&[("k1", 1)]);
        assert_eq!(keyring.decrypt("voice_data/1", TEXT).expect("decrypts"), TEXT);
        assert!(!keyring.is_current(TEXT));
    }

    #[test]
    fn keys_are_32_bytes_and_never_shown() {
        Keyring::new([]).expect_err("no key");
        Keyring::new([("k1", [1; 31].as_slice())]).expect_err("too short");
        assert_eq!(format!("{:?}", keyring(&[("k1", 7)])), r#"["k1"]"#);
    }
}
