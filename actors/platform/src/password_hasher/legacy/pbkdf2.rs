//! PBKDF2 (RFC 8018) as Django writes it.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, Algorithm};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{HashFault, fields, number};

/// They take about 1 s. Django's default has grown to 1,200,000 (6.0) and 1,500,000 (6.1).
const MAX_ROUNDS: u32 = 2_000_000;

/// The function, and the bytes of its output.
pub(super) type Variant = (Algorithm, usize);
pub(super) const SHA256: Variant = (pbkdf2::PBKDF2_HMAC_SHA256, 32);
pub(super) const SHA1: Variant = (pbkdf2::PBKDF2_HMAC_SHA1, 20);

pub(in crate::password_hasher) struct Pbkdf2Hash {
    algorithm: Algorithm,
    rounds: NonZeroU32,
    salt: String,
    output: Vec<u8>,
}

impl Pbkdf2Hash {
    /// Reads `ROUNDS$SALT$BASE64`.
    pub(super) fn parse((algorithm, output_bytes): Variant, text: &str) -> Result<Self, HashFault> {
        let [rounds, salt, output] = fields(text)?;
        let rounds = NonZeroU32::new(number(rounds)?).ok_or(HashFault::Malformed)?;
        let output = BASE64_STANDARD.decode(output).map_err(|_| HashFault::Malformed)?;
        if output.len() != output_bytes {
            return Err(HashFault::Malformed);
        }
        if rounds.get() > MAX_ROUNDS {
            return Err(HashFault::TooDear);
        }
        Ok(Self { algorithm, rounds, salt: salt.to_owned(), output })
    }

    /// Returns the work of Argon2, in KiB that it writes, that takes the same time: of 1,000,000 rounds, 0.5 s.
    pub(super) fn work(&self) -> u64 {
        u64::from(self.rounds.get()) * 4 / 5
    }

    pub(super) fn matches(&self, password: &str) -> bool {
        let (salt, password) = (self.salt.as_bytes(), password.as_bytes());
        pbkdf2::verify(self.algorithm, self.rounds, salt, password, &self.output).is_ok()
    }
}
