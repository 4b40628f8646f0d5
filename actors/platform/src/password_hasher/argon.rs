//! Argon2id (RFC 9106) in reused memory.

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, Salt},
};
use aws_lc_rs::constant_time;
use faceofmind_base::Rng;
use faceofmind_model::text::nfc;
use secrecy::{ExposeSecret, SecretString};

use super::hash::{HashFault, PasswordHash};

const OUTPUT_BYTES: usize = 32;

/// The most memory of a stored hash in KiB: that of libsodium's dearest preset. Django's default is 100 MiB.
const MAX_MEMORY_KIB: u32 = 1 << 20;
/// The most KiB that a stored hash writes in all passes: that preset has four. They take about 4 s.
const MAX_WORK: u64 = 4 << 20;

/// The cost of a hash. The defaults are OWASP's (Password Storage Cheat Sheet, Argon2id).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// In KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
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
    /// Returns the parameters for the algorithm.
    ///
    /// # Errors
    /// Argon2 does not allow them (RFC 9106 §3.1).
    pub fn params(self) -> Result<Params, String> {
        Params::new(self.memory_kib, self.iterations, self.parallelism, Some(OUTPUT_BYTES))
            .map_err(|error| format!("Argon2 does not allow {self:?}: {error}"))
    }
}

/// The memory of one worker.
#[derive(Default)]
pub(super) struct ArgonMemory(Vec<Block>);

impl ArgonMemory {
    fn blocks(&mut self, params: &Params) -> &mut [Block] {
        if self.0.len() < params.block_count() {
            self.0.resize(params.block_count(), Block::default());
        }
        &mut self.0
    }

    /// Fills `output` with the hash of a password.
    fn run(
        &mut self,
        (algorithm, params): (Algorithm, &Params),
        password: &str,
        salt: &[u8],
        output: &mut [u8],
    ) -> argon2::Result<()> {
        let argon = Argon2::new(algorithm, Version::V0x13, params.clone());
        argon.hash_password_into_with_memory(password.as_bytes(), salt, output, self.blocks(params))
    }

    /// Does the work of one hash.
    pub(super) fn waste(&mut self, params: &Params, password: &str) {
        let _same_work = self.run((Algorithm::Argon2id, params), password, b"a constant salt.", &mut [0; OUTPUT_BYTES]);
    }

    /// Releases what a hash at this cost does not need. A stored hash may have needed more.
    pub(super) fn shrink_to(&mut self, params: &Params) {
        self.0.truncate(params.block_count());
        self.0.shrink_to_fit();
    }

    /// Hashes the password in Normalization Form C (NIST SP 800-63B §3.1.1.2) with a new salt of 16 bytes.
    ///
    /// # Panics
    /// Argon2 refuses the password, which is possible from 4 GiB on.
    pub(super) fn hash(&mut self, params: &Params, password: &SecretString, rng: &Rng) -> PasswordHash {
        let salt = rng.bytes::<16>();
        let mut output = [0; OUTPUT_BYTES];
        self.run((Algorithm::Argon2id, params), &nfc(password.expose_secret()), &salt, &mut output)
            .expect("Argon2 accepts the parameters and the salt");
        PasswordHash::stored(phc(params, &salt, &output).expect("the parameters and the salt fit a PHC string"))
    }
}

fn phc(params: &Params, salt: &[u8], output: &[u8]) -> Result<String, Box<dyn std::error::Error>> {
    let hash = argon2::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params)?,
        salt: Some(Salt::new(salt)?),
        hash: Some(Output::new(output)?),
    };
    Ok(hash.to_string())
}

/// A hash that Argon2 made, by this program or by Django.
pub(super) struct ArgonHash {
    algorithm: Algorithm,
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl ArgonHash {
    /// Reads a PHC string of one of these algorithms. Its cost is bounded by [`MAX_MEMORY_KIB`] and [`MAX_WORK`], or by the current one where
    /// that is higher.
    pub(super) fn parse(text: &str, algorithms: &[Algorithm], current: &Params) -> Result<Self, HashFault> {
        let parsed = argon2::PasswordHash::new(text).map_err(|_| HashFault::Malformed)?;
        let algorithm = algorithms.iter().find(|known| known.ident() == parsed.algorithm);
        let is_version_19 = parsed.version == Some(Version::V0x13.into());
        let params = Params::try_from(&parsed).map_err(|_| HashFault::Malformed)?;
        let (Some(&algorithm), true, Some(salt), Some(output)) = (algorithm, is_version_19, parsed.salt, parsed.hash)
        else {
            return Err(HashFault::Malformed);
        };
        if params.m_cost() > MAX_MEMORY_KIB.max(current.m_cost()) || work(&params) > MAX_WORK.max(work(current)) {
            return Err(HashFault::TooDear);
        }
        Ok(Self { algorithm, params, salt: salt.as_ref().to_vec(), output: output.as_bytes().to_vec() })
    }

    pub(super) fn matches(&self, password: &str, memory: &mut ArgonMemory) -> bool {
        let mut output = vec![0; self.output.len()];
        let hashed = memory.run((self.algorithm, &self.params), password, &self.salt, &mut output);
        hashed.is_ok() && constant_time::verify_slices_are_equal(&output, &self.output).is_ok()
    }

    pub(super) fn has_cost_of(&self, params: &Params) -> bool {
        let cost = |of: &Params| (of.m_cost(), of.t_cost(), of.p_cost());
        cost(&self.params) == cost(params)
    }

    pub(super) fn work(&self) -> u64 {
        work(&self.params)
    }
}

/// Returns the KiB that are written in all passes, which the time of Argon2 is proportional to.
pub(super) fn work(params: &Params) -> u64 {
    u64::from(params.m_cost()) * u64::from(params.t_cost())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password_hasher::verify::{VerifyOutcome, verify};

    fn cheap(memory_kib: u32) -> Params {
        Cost { memory_kib, iterations: 1, parallelism: 1 }.params().expect("allowed")
    }

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    #[test]
    fn the_right_password_matches_and_another_does_not() {
        let (mut memory, params) = (ArgonMemory::default(), cheap(64));
        let hash = memory.hash(&params, &secret("correct horse"), &Rng::seeded(1));
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", hash.as_str());
        assert_eq!(
            verify(&mut memory, &params, &secret("correct horse"), Some(&hash)),
            VerifyOutcome { matches: true, outdated: false, fault: None }
        );
        assert!(!verify(&mut memory, &params, &secret("wrong horse"), Some(&hash)).matches);
    }

    #[test]
    fn a_hash_of_another_cost_still_matches_and_is_outdated() {
        let mut memory = ArgonMemory::default();
        let hash = memory.hash(&cheap(64), &secret("pass"), &Rng::seeded(1));
        assert_eq!(
            verify(&mut memory, &cheap(128), &secret("pass"), Some(&hash)),
            VerifyOutcome { matches: true, outdated: true, fault: None }
        );
    }

    #[test]
    fn a_password_matches_however_its_characters_are_encoded() {
        let (mut memory, params) = (ArgonMemory::default(), cheap(64));
        let hash = memory.hash(&params, &secret("contrase\u{f1}a"), &Rng::seeded(1));
        let decomposed = secret("contrasen\u{303}a");
        let fresh = VerifyOutcome { matches: true, outdated: false, fault: None };
        assert_eq!(verify(&mut memory, &params, &decomposed, Some(&hash)), fresh);
        let again = memory.hash(&params, &decomposed, &Rng::seeded(1));
        assert_eq!(again, hash);
        let wrong = verify(&mut memory, &params, &secret("contrasen\u{301}a"), Some(&hash));
        assert!(!wrong.matches);
    }

    #[test]
    fn a_hash_of_the_bytes_as_typed_still_matches_and_is_outdated() {
        let (mut memory, params, typed) = (ArgonMemory::default(), cheap(64), "contrasen\u{303}a");
        let mut output = [0; OUTPUT_BYTES];
        memory.run((Algorithm::Argon2id, &params), typed, b"a salt of a hash", &mut output).expect("hashes");
        let hash = PasswordHash::stored(phc(&params, b"a salt of a hash", &output).expect("fits"));
        let outdated = VerifyOutcome { matches: true, outdated: true, fault: None };
        assert_eq!(verify(&mut memory, &params, &secret(typed), Some(&hash)), outdated);
        assert!(!verify(&mut memory, &params, &secret("contrase\u{f1}a"), Some(&hash)).matches, "it cannot be known");
    }

    #[test]
    fn the_same_password_is_hashed_differently_each_time() {
        let (mut memory, rng) = (ArgonMemory::default(), Rng::system());
        let mut hash = || memory.hash(&cheap(64), &secret("pass"), &rng);
        assert_ne!(hash(), hash());
    }

    #[test]
    fn nothing_matches_no_hash_or_one_that_cannot_be_read() {
        let (mut memory, params) = (ArgonMemory::default(), cheap(64));
        for (hash, fault) in [
            (None, None),
            (Some("x"), Some(HashFault::Malformed)),
            (Some("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ"), Some(HashFault::Malformed)),
            (Some(""), Some(HashFault::Malformed)),
            (Some("!EdBfTchy4NfkWqR6AECAsxc0XeX27DFsKOkxV5Hc"), Some(HashFault::Unusable)),
        ] {
            let hash = hash.map(|text| PasswordHash::stored(text.to_owned()));
            let refused = VerifyOutcome { matches: false, outdated: false, fault };
            assert_eq!(verify(&mut memory, &params, &secret("pass"), hash.as_ref()), refused);
        }
    }

    #[test]
    fn reads_the_reference_implementations_hash() {
        // `echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1 -l 32 -e`, from the reference implementation's test.c.
        let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let hash = PasswordHash::stored(text.to_owned());
        assert!(verify(&mut ArgonMemory::default(), &cheap(64), &secret("password"), Some(&hash)).matches);
    }

    #[test]
    fn a_dearer_hash_than_the_current_ones_leaves_no_more_memory_than_they_need() {
        let mut memory = ArgonMemory::default();
        let hash = memory.hash(&cheap(1024), &secret("pass"), &Rng::seeded(1));
        assert!(verify(&mut memory, &cheap(64), &secret("pass"), Some(&hash)).matches);
        assert_eq!((memory.0.len(), memory.0.capacity()), (64, 64));
    }

    #[test]
    fn a_hash_is_too_dear_beyond_the_bounds_unless_new_ones_cost_as_much() {
        let parse = |memory_kib: u32, iterations: u32, current: &Params| {
            let text = format!(
                "$argon2id$v=19$m={memory_kib},t={iterations},p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
            );
            ArgonHash::parse(&text, &[Algorithm::Argon2id], current).map(drop)
        };
        let current = cheap(64);
        assert_eq!(parse(MAX_MEMORY_KIB, 4, &current), Ok(()));
        assert_eq!(parse(MAX_MEMORY_KIB, 5, &current), Err(HashFault::TooDear));
        assert_eq!(parse(MAX_MEMORY_KIB + 1, 1, &current), Err(HashFault::TooDear));
        assert_eq!(parse(64, u32::MAX, &current), Err(HashFault::TooDear));
        assert_eq!(parse(u32::MAX, u32::MAX, &current), Err(HashFault::TooDear));
        assert_eq!(
            parse(
                MAX_MEMORY_KIB * 2,
                4,
                &Cost { memory_kib: MAX_MEMORY_KIB * 2, iterations: 4, parallelism: 1 }.params().expect("allowed")
            ),
            Ok(())
        );
    }
}
