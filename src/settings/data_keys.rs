//! The keys that seal personal texts at rest.

use std::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::{ExposeSecret, SecretSlice};

/// With or without the `=` at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// At least one key; the first seals, all open.
#[derive(Clone)]
pub struct DataKeys(Vec<DataKey>);

/// One key of 32 bytes and the id by which what it sealed names it.
#[derive(Clone)]
pub struct DataKey {
    id: String,
    bytes: SecretSlice<u8>,
}

impl DataKeys {
    /// Takes `id:base64 of 32 bytes[,id:base64…]`. The reason of a refusal repeats no key.
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

    /// All keys, that which seals first.
    pub fn iter(&self) -> impl Iterator<Item = &DataKey> {
        self.0.iter()
    }
}

impl DataKey {
    fn parse(item: &str) -> Result<Self, String> {
        let (id, key) = item.split_once(':').ok_or("has a key without an id before a colon")?;
        let is_id = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        if id.is_empty() || id.len() > 32 || !id.chars().all(is_id) {
            return Err("has an id that is not 1 to 32 letters, digits, - or _".to_owned());
        }
        let bytes = BASE64.decode(key).map_err(|_| format!("has a key `{id}` that is not base64"))?;
        match bytes.len() {
            32 => Ok(Self { id: id.to_owned(), bytes: bytes.into() }),
            length => Err(format!("has a key `{id}` of {length} bytes instead of 32")),
        }
    }

    /// The id that what it sealed carries.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its 32 bytes, for the cipher.
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
    fn the_first_key_seals_and_all_are_kept() {
        let keys = DataKeys::parse(&format!("new:{TWOS}, old:{ONES}")).expect("two good keys");
        let kept: Vec<_> = keys.iter().map(|key| (key.id(), key.expose())).collect();
        assert_eq!(kept, [("new", [2_u8; 32].as_slice()), ("old", [1_u8; 32].as_slice())]);
    }

    #[test]
    fn debug_shows_ids_only() {
        let keys = DataKeys::parse(&format!("k1:{ONES}")).expect("a good key");
        assert_eq!(format!("{keys:?}"), "[k1:***]");
    }

    #[test]
    fn a_refusal_names_the_key_and_never_repeats_it() {
        let refusal = |text: &str| DataKeys::parse(text).expect_err("a bad key");
        assert_eq!(refusal(ONES), "has a key without an id before a colon");
        assert_eq!(refusal("k1:AQEB"), "has a key `k1` of 3 bytes instead of 32");
        assert_eq!(refusal("k1:*"), "has a key `k1` that is not base64");
        assert_eq!(refusal(&format!("k1:{ONES},k1:{TWOS}")), "has two keys with the id `k1`");
        assert_eq!(refusal(&format!("a b:{ONES}")), "has an id that is not 1 to 32 letters, digits, - or _");
    }
}
