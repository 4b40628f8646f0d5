//! Argon2id (RFC 9106) in memory that is used again.

use std::fmt;

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, Salt},
};
use aws_lc_rs::constant_time;
use faceofmind_base::Rng;
use secrecy::{ExposeSecret, SecretString};

const OUTPUT_BYTES: usize = 32;

/// What a hash costs. The defaults are OWASP's (Password Storage Cheat Sheet, Argon2id).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Default for Cost {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

impl Cost {
    /// The parameters for the algorithm.
    ///
    /// # Errors
    /// When Argon2 does not allow them (RFC 9106 §3.1), in words.
    pub fn params(self) -> Result<Params, String> {
        Params::new(self.memory_kib, self.iterations, self.parallelism, Some(OUTPUT_BYTES))
            .map_err(|error| format!("Argon2 does not allow {self:?}: {error}"))
    }
}

/// A password's hash in the PHC string format. Debug prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// As read from the database.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// As to be written to the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Whether a password is the one that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It is.
    pub matches: bool,
    /// The hash was made at another cost than today's and should be made again.
    pub outdated: bool,
}

/// The memory of one worker.
#[derive(Default)]
pub(super) struct Arena(Vec<Block>);

impl Arena {
    fn of(&mut self, params: &Params) -> &mut [Block] {
        if self.0.len() < params.block_count() {
            self.0.resize(params.block_count(), Block::default());
        }
        &mut self.0
    }

    fn run(&mut self, params: &Params, password: &SecretString, salt: &[u8]) -> argon2::Result<[u8; OUTPUT_BYTES]> {
        let mut output = [0; OUTPUT_BYTES];
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        argon.hash_password_into_with_memory(
            password.expose_secret().as_bytes(),
            salt,
            &mut output,
            self.of(params),
        )?;
        Ok(output)
    }

    /// Hashes with a new salt of 16 bytes.
    pub(super) fn hash(&mut self, params: &Params, password: &SecretString, rng: &Rng) -> Result<PasswordHash, String> {
        let salt = rng.bytes::<16>();
        let output = self.run(params, password, &salt).map_err(|error| error.to_string())?;
        phc(params, &salt, &output).map(PasswordHash)
    }

    /// Compares with a hash, or does the same work for nothing when there is none.
    pub(super) fn verify(&mut self, today: &Params, password: &SecretString, hash: Option<&PasswordHash>) -> Verdict {
        let Some(known) = hash.and_then(Known::read) else {
            let _same_work = self.run(today, password, b"nobody's salt...");
            return Verdict { matches: false, outdated: false };
        };
        let matches = self
            .run(&known.params, password, &known.salt)
            .is_ok_and(|output| constant_time::verify_slices_are_equal(&output, &known.output).is_ok());
        let same = |cost: &Params| (cost.m_cost(), cost.t_cost(), cost.p_cost());
        Verdict { matches, outdated: same(&known.params) != same(today) }
    }
}

fn phc(params: &Params, salt: &[u8], output: &[u8]) -> Result<String, String> {
    let hash = argon2::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(|error| error.to_string())?,
        salt: Some(Salt::new(salt).map_err(|error| error.to_string())?),
        hash: Some(Output::new(output).map_err(|error| error.to_string())?),
    };
    Ok(hash.to_string())
}

struct Known {
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Known {
    fn read(hash: &PasswordHash) -> Option<Self> {
        let parsed = argon2::PasswordHash::new(hash.as_str()).ok()?;
        let params = Params::try_from(&parsed).ok()?;
        let argon2id = parsed.algorithm == Algorithm::Argon2id.ident();
        let (salt, output) = (parsed.salt?, parsed.hash?);
        argon2id.then(|| Self { params, salt: salt.as_ref().to_vec(), output: output.as_bytes().to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap(memory_kib: u32) -> Params {
        Cost { memory_kib, iterations: 1, parallelism: 1 }.params().expect("allowed")
    }

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    #[test]
    fn the_right_password_matches_and_another_does_not() {
        let (mut arena, params) = (Arena::default(), cheap(64));
        let hash = arena.hash(&params, &secret("correct horse"), &Rng::seeded(1)).expect("hashes");
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", hash.as_str());
        assert_eq!(
            arena.verify(&params, &secret("correct horse"), Some(&hash)),
            Verdict { matches: true, outdated: false }
        );
        assert!(!arena.verify(&params, &secret("wrong horse"), Some(&hash)).matches);
    }

    #[test]
    fn a_hash_of_another_cost_still_matches_and_is_outdated() {
        let mut arena = Arena::default();
        let hash = arena.hash(&cheap(64), &secret("pass"), &Rng::seeded(1)).expect("hashes");
        assert_eq!(arena.verify(&cheap(128), &secret("pass"), Some(&hash)), Verdict { matches: true, outdated: true });
    }

    #[test]
    fn the_same_password_is_hashed_differently_each_time() {
        let (mut arena, rng) = (Arena::default(), Rng::system());
        let mut hash = || arena.hash(&cheap(64), &secret("pass"), &rng).expect("hashes");
        assert_ne!(hash(), hash());
    }

    #[test]
    fn nothing_matches_no_hash_or_one_that_cannot_be_read() {
        let (mut arena, params) = (Arena::default(), cheap(64));
        for hash in [None, Some("x"), Some("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ"), Some("")] {
            let hash = hash.map(|text| PasswordHash::stored(text.to_owned()));
            assert!(!arena.verify(&params, &secret("pass"), hash.as_ref()).matches);
        }
    }

    #[test]
    fn reads_the_reference_implementations_hash() {
        // `echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1 -l 32 -e`, from the reference implementation's test.c.
        let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let hash = PasswordHash::stored(text.to_owned());
        assert!(Arena::default().verify(&cheap(64), &secret("password"), Some(&hash)).matches);
    }
}
