//! The keys that encrypt personal texts at rest.

use std::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::{ExposeSecret, SecretSlice};

/// Accepts base64 with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One key or more. The first encrypts, and all decrypt.
#[derive(Clone)]
pub struct DataKeys(Vec<DataKey>);

/// A key of 32 bytes, and the id that its ciphertexts carry.
#[derive(Clone)]
pub struct DataKey {
    id: String,
    bytes: SecretSlice<u8>,
}

impl DataKeys {
    /// Parses `id:base64 of 32 bytes[,id:base64…]`. An error repeats no key.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<DataKey> = Vec::new();
        for item in text.split(',') {
            let key = DataKey::parse(item.trim())?;
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(format!("has two keys with the id `{}`", key.id));
            }
            keys.push(key);
        }
        Ok(Self(keys))
    }

    /// All keys; the first encrypts.
    pub fn iter(&self) -> impl Iterator<Item = &DataKey> {
        self.0.iter()
    }
}

impl DataKey {
    fn parse(item: &str) -> Result<Self, String> {
        let (id, key) = item.split_once(':').ok_or("has a key without an id before a colon")?;
        let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if id.is_empty() || id.len() > 32 || !id.chars().all(is_id) {
            return Err("has an id that is not 1 to 32 letters, digits, - or _".to_owned());
        }
        let bytes = BASE64.decode(key).map_err(|_| format!("has a key `{id}` that is not base64"))?;
        match bytes.len() {
            32 => Ok(Self { id: id.to_owned(), bytes: bytes.into() }),
            length => Err(format!("has a key `{id}` of {length} bytes instead of 32")),
        }
    }

    /// The id that its ciphertexts carry.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The 32 bytes, for the cipher.
    pub fn expose(&self) -> &[u8] {
        self.bytes.expose_secret()
    }
}

impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:***", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const TWOS: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

    #[test]
    fn all_keys_are_kept_in_their_order() {
        let keys = DataKeys::parse(&format!("new:{TWOS}, old:{ONES}")).expect("two good keys");
        let parsed: Vec<_> = keys.iter().map(|key| (key.id(), key.expose())).collect();
        assert_eq!(parsed, [("new", [2_u8; 32].as_slice()), ("old", [1_u8; 32].as_slice())]);
    }

    #[test]
    fn debug_shows_ids_only() {
        let keys = DataKeys::parse(&format!("k1:{ONES}")).expect("a good key");
        assert_eq!(format!("{keys:?}"), "[k1:***]");
    }

    #[test]
    fn an_error_names_the_key_and_never_repeats_it() {
        let error = |text: &str| DataKeys::parse(text).expect_err("a bad key");
        assert_eq!(error(ONES), "has a key without an id before a colon");
        assert_eq!(error("k1:AQEB"), "has a key `k1` of 3 bytes instead of 32");
        assert_eq!(error("k1:*"), "has a key `k1` that is not base64");
        assert_eq!(error(&format!("k1:{ONES},k1:{TWOS}")), "has two keys with the id `k1`");
        assert_eq!(error(&format!("a b:{ONES}")), "has an id that is not 1 to 32 letters, digits, - or _");
    }
}
