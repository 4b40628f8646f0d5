//! Argon2id (RFC 9106) in reused memory.

use std::fmt;

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, Salt},
};
use aws_lc_rs::constant_time;
use faceofmind_base::Rng;
use faceofmind_model::text::nfc;
use secrecy::{ExposeSecret, SecretString};

const OUTPUT_BYTES: usize = 32;

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

/// A password's hash in the PHC string format. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyOutcome {
    /// The password is the one that was hashed.
    pub matches: bool,
    /// The hash was made at another cost than the current one and should be made again.
    pub outdated: bool,
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

    fn run(&mut self, params: &Params, password: &str, salt: &[u8]) -> argon2::Result<[u8; OUTPUT_BYTES]> {
        let mut output = [0; OUTPUT_BYTES];
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        argon.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, self.blocks(params))?;
        Ok(output)
    }

    /// Hashes the password in Normalization Form C (NIST SP 800-63B §3.1.1.2) with a new salt of 16 bytes.
    ///
    /// # Panics
    /// Argon2 refuses the password, which is possible from 4 GiB on.
    pub(super) fn hash(&mut self, params: &Params, password: &SecretString, rng: &Rng) -> PasswordHash {
        let salt = rng.bytes::<16>();
        let output = self
            .run(params, &nfc(password.expose_secret()), &salt)
            .expect("Argon2 accepts the parameters and the salt");
        PasswordHash(phc(params, &salt, &output).expect("the parameters and the salt fit a PHC string"))
    }

    /// Compares with a hash. A password that is not in Normalization Form C is compared in it and as typed, since earlier versions hashed
    /// it as typed; such a hash is outdated. Without a readable hash it does the same work, and nothing matches.
    pub(super) fn verify(
        &mut self,
        current: &Params,
        password: &SecretString,
        hash: Option<&PasswordHash>,
    ) -> VerifyOutcome {
        let typed = password.expose_secret();
        let normalized = nfc(typed);
        let differs = normalized != typed;
        let Some(known) = hash.and_then(StoredHash::parse) else {
            for password in [Some(&*normalized), differs.then_some(typed)].into_iter().flatten() {
                let _same_work = self.run(current, password, b"a constant salt.");
            }
            return VerifyOutcome { matches: false, outdated: false };
        };
        let mut compare = |password: &str| {
            let output = self.run(&known.params, password, &known.salt);
            output.is_ok_and(|output| constant_time::verify_slices_are_equal(&output, &known.output).is_ok())
        };
        let matches = compare(&normalized);
        // Also when the first comparison matched, so that the time does not tell which one did.
        let matches_typed = differs && compare(typed);
        let same = |cost: &Params| (cost.m_cost(), cost.t_cost(), cost.p_cost());
        let outdated = same(&known.params) != same(current) || (matches_typed && !matches);
        VerifyOutcome { matches: matches || matches_typed, outdated }
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

struct StoredHash {
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl StoredHash {
    fn parse(hash: &PasswordHash) -> Option<Self> {
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
        let (mut memory, params) = (ArgonMemory::default(), cheap(64));
        let hash = memory.hash(&params, &secret("correct horse"), &Rng::seeded(1));
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", hash.as_str());
        assert_eq!(
            memory.verify(&params, &secret("correct horse"), Some(&hash)),
            VerifyOutcome { matches: true, outdated: false }
        );
        assert!(!memory.verify(&params, &secret("wrong horse"), Some(&hash)).matches);
    }

    #[test]
    fn a_hash_of_another_cost_still_matches_and_is_outdated() {
        let mut memory = ArgonMemory::default();
        let hash = memory.hash(&cheap(64), &secret("pass"), &Rng::seeded(1));
        assert_eq!(
            memory.verify(&cheap(128), &secret("pass"), Some(&hash)),
            VerifyOutcome { matches: true, outdated: true }
        );
    }

    #[test]
    fn a_password_matches_however_its_characters_are_encoded() {
        let (mut memory, params) = (ArgonMemory::default(), cheap(64));
        let hash = memory.hash(&params, &secret("contrase\u{f1}a"), &Rng::seeded(1));
        let decomposed = secret("contrasen\u{303}a");
        let fresh = VerifyOutcome { matches: true, outdated: false };
        assert_eq!(memory.verify(&params, &decomposed, Some(&hash)), fresh);
        let again = memory.hash(&params, &decomposed, &Rng::seeded(1));
        assert_eq!(again, hash);
        let wrong = memory.verify(&params, &secret("contrasen\u{301}a"), Some(&hash));
        assert!(!wrong.matches);
    }

    #[test]
    fn a_hash_of_the_bytes_as_typed_still_matches_and_is_outdated() {
        let (mut memory, params, typed) = (ArgonMemory::default(), cheap(64), "contrasen\u{303}a");
        let output = memory.run(&params, typed, b"a salt of a hash").expect("hashes");
        let hash = PasswordHash(phc(&params, b"a salt of a hash", &output).expect("fits"));
        let outdated = VerifyOutcome { matches: true, outdated: true };
        assert_eq!(memory.verify(&params, &secret(typed), Some(&hash)), outdated);
        assert!(!memory.verify(&params, &secret("contrase\u{f1}a"), Some(&hash)).matches, "it cannot be known");
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
        for hash in [None, Some("x"), Some("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ"), Some("")] {
            let hash = hash.map(|text| PasswordHash::stored(text.to_owned()));
            assert!(!memory.verify(&params, &secret("pass"), hash.as_ref()).matches);
        }
    }

    #[test]
    fn reads_the_reference_implementations_hash() {
        // `echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1 -l 32 -e`, from the reference implementation's test.c.
        let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let hash = PasswordHash::stored(text.to_owned());
        assert!(ArgonMemory::default().verify(&cheap(64), &secret("password"), Some(&hash)).matches);
    }
}
