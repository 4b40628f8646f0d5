//! bcrypt (Provos and Mazières, USENIX 1999).

use std::fmt::Write as _;

use aws_lc_rs::{constant_time, digest};
use base64::{
    Engine as _,
    alphabet::BCRYPT,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};

use super::HashFault;

/// The bytes of a password that count, its final NUL included.
const MAX_KEY_BYTES: usize = 72;
const MIN_COST: u32 = 4;
/// It takes about 2 s. The default of passlib and Django is 12.
const MAX_COST: u32 = 15;
/// No implementation goes beyond it.
const HIGHEST_COST: u32 = 31;
/// `$2b$`, two digits and `$`; 22 characters of the salt; 31 of the hash.
const BYTES: usize = 60;

/// Some programs have set bits after the last byte of a salt. They do not count.
const BASE64: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// A hash of bcrypt. `$2a$`, `$2b$` and `$2y$` are the same function: the faults that set them apart are those of passwords of more than 255 bytes in
/// some programs. `$2x$`, which stands for another fault, is not read.
pub(in crate::password_hasher) struct BcryptHash {
    cost: u32,
    salt: [u8; 16],
    output: [u8; 23],
}

impl BcryptHash {
    pub(super) fn parse(text: &str) -> Result<Self, HashFault> {
        let parts = Self::split(text).ok_or(HashFault::Malformed)?;
        match parts.cost {
            MIN_COST..=MAX_COST => Ok(parts),
            ..=HIGHEST_COST if parts.cost > MAX_COST => Err(HashFault::TooDear),
            _ => Err(HashFault::Malformed),
        }
    }

    fn split(text: &str) -> Option<Self> {
        if text.len() != BYTES || !text.is_ascii() {
            return None;
        }
        let parameters = ["$2a$", "$2b$", "$2y$"].iter().find_map(|version| text.strip_prefix(version))?;
        let (cost, encoded) = parameters.split_once('$')?;
        if cost.len() != 2 || !cost.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (salt, output) = encoded.split_at_checked(22)?;
        Some(Self { cost: cost.parse().ok()?, salt: decode(salt)?, output: decode(output)? })
    }

    /// Returns the work of Argon2, in KiB that it writes, that takes the same time: of cost 12, 0.2 s.
    pub(super) fn work(&self) -> u64 {
        76 << self.cost
    }

    /// The key ends with a NUL where it has fewer than 72 bytes, and is repeated. So a password with a NUL could equal another one; no program that
    /// wrote these hashes took one.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut key: Vec<u8> = password.iter().copied().take(MAX_KEY_BYTES).collect();
        if key.len() < MAX_KEY_BYTES {
            key.push(0);
        }
        let output = bcrypt::bcrypt(self.cost, self.salt, &key);
        let is_equal = constant_time::verify_slices_are_equal(&output[..self.output.len()], &self.output).is_ok();
        is_equal && !password.contains(&0)
    }
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

/// Returns the SHA-256 of a password as Django hands it to bcrypt, so that all its bytes count.
pub(super) fn sha256_in_hex(password: &str) -> String {
    let digest = digest::digest(&digest::SHA256, password.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}
