//! The kinds of hash that are read: this program's own, and those of the programs that a database may be taken over from (Django's password
//! hashers, and passlib with `schemes=["bcrypt"]`).
//!
//! *Guarantees*: whatever text is stored, reading it is cheap and does not panic, and verifying it takes at most about 4 s on one core and, where it
//! is not Argon2, 128 MiB.

mod bcrypt;
mod pbkdf2;
mod scrypt;

use argon2::{Algorithm, Params};

use self::{bcrypt::BcryptHash, pbkdf2::Pbkdf2Hash, scrypt::ScryptHash};
use super::{
    argon::{self, ArgonHash, ArgonMemory},
    hash::{HashFault, HashKind},
};

/// The most bytes of a stored hash. Django's have at most 128.
const MAX_BYTES: usize = 512;

/// The work of one hash at OWASP's parameters, in KiB that Argon2 writes. It takes about 25 ms.
const DEFAULT_WORK: u64 = 19_456 * 2;

/// A hash that can be verified, within the bounds of its kind.
pub(super) enum StoredHash {
    Argon2id(ArgonHash),
    DjangoArgon2(ArgonHash),
    Bcrypt(BcryptHash),
    BcryptOfSha256(BcryptHash),
    Pbkdf2(Pbkdf2Hash),
    Scrypt(ScryptHash),
}

impl StoredHash {
    /// Reads a hash. `current` is the cost of new ones, which is never too dear.
    pub(super) fn parse(text: &str, current: &Params) -> Result<Self, HashFault> {
        if text.len() > MAX_BYTES {
            return Err(HashFault::Malformed);
        }
        // Django puts its name of the algorithm before the first `$`.
        let rest = text.split_once('$').map_or("", |(_, rest)| rest);
        Ok(match HashKind::of(text) {
            HashKind::Argon2id => Self::Argon2id(ArgonHash::parse(text, &[Algorithm::Argon2id], current)?),
            HashKind::DjangoArgon2 => {
                let phc = text.strip_prefix("argon2").unwrap_or_default();
                Self::DjangoArgon2(ArgonHash::parse(phc, &[Algorithm::Argon2id, Algorithm::Argon2i], current)?)
            }
            HashKind::Bcrypt => Self::Bcrypt(BcryptHash::parse(text)?),
            HashKind::DjangoBcrypt => Self::Bcrypt(BcryptHash::parse(rest)?),
            HashKind::DjangoBcryptSha256 => Self::BcryptOfSha256(BcryptHash::parse(rest)?),
            HashKind::DjangoPbkdf2Sha256 => Self::Pbkdf2(Pbkdf2Hash::parse(pbkdf2::SHA256, rest)?),
            HashKind::DjangoPbkdf2Sha1 => Self::Pbkdf2(Pbkdf2Hash::parse(pbkdf2::SHA1, rest)?),
            HashKind::DjangoScrypt => Self::Scrypt(ScryptHash::parse(rest)?),
            HashKind::DjangoUnusable => return Err(HashFault::Unusable),
            HashKind::Empty | HashKind::Unknown => return Err(HashFault::Malformed),
        })
    }

    /// Returns how many hashes at the current cost take the time of verifying it. A current cost below the default counts as the default.
    pub(super) fn weight(&self, current: &Params) -> usize {
        let unit = argon::work(current).max(DEFAULT_WORK);
        usize::try_from(self.work().div_ceil(unit)).unwrap_or(usize::MAX)
    }

    /// Returns the work of Argon2, in KiB that it writes, that takes the same time.
    fn work(&self) -> u64 {
        match self {
            Self::Argon2id(hash) | Self::DjangoArgon2(hash) => hash.work(),
            Self::Bcrypt(hash) | Self::BcryptOfSha256(hash) => hash.work(),
            Self::Pbkdf2(hash) => hash.work(),
            Self::Scrypt(hash) => hash.work(),
        }
    }

    /// Whether it is the hash of this password. Bytes that differ are found in constant time.
    pub(super) fn matches(&self, password: &str, memory: &mut ArgonMemory) -> bool {
        match self {
            Self::Argon2id(hash) | Self::DjangoArgon2(hash) => hash.matches(password, memory),
            Self::Bcrypt(hash) => hash.matches(password.as_bytes()),
            Self::BcryptOfSha256(hash) => hash.matches(bcrypt::sha256_in_hex(password).as_bytes()),
            Self::Pbkdf2(hash) => hash.matches(password),
            Self::Scrypt(hash) => hash.matches(password),
        }
    }
}

/// Reads a number as Python writes it: digits alone, without zeros before them. One that no `u32` holds is too dear.
fn number(text: &str) -> Result<u32, HashFault> {
    if text.is_empty() || text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HashFault::Malformed);
    }
    text.parse().map_err(|_| HashFault::TooDear)
}

/// Reads what Django separates by `$`. The salt is text, which is not empty.
fn fields<const N: usize>(text: &str) -> Result<[&str; N], HashFault> {
    let fields: Vec<_> = text.split('$').collect();
    let fields: [&str; N] = fields.try_into().map_err(|_| HashFault::Malformed)?;
    if fields.contains(&"") { Err(HashFault::Malformed) } else { Ok(fields) }
}

#[cfg(test)]
mod tests;
