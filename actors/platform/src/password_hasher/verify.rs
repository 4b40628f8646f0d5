//! Comparing a password with a stored hash, and deciding whether that is replaced.

use argon2::Params;
use faceofmind_model::text::nfc;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    argon::ArgonMemory,
    hash::{HashFault, PasswordHash},
    legacy::StoredHash,
};

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyOutcome {
    /// The password is the one that was hashed.
    pub matches: bool,
    /// The hash is of another kind or cost than those of new passwords and should be made again.
    pub outdated: bool,
    /// Why no password can match the hash.
    pub fault: Option<HashFault>,
}

/// Compares a password with a hash. A password that is not in Normalization Form C is compared in it and as typed, since other programs and
/// earlier versions hashed it as typed. Without a hash that can be verified it does the work of one hash at the current cost, and nothing
/// matches.
pub(super) fn verify(
    memory: &mut ArgonMemory,
    current: &Params,
    password: &SecretString,
    hash: Option<&PasswordHash>,
) -> VerifyOutcome {
    let typed = password.expose_secret();
    let normalized = nfc(typed);
    let other_form = (normalized != typed).then_some(typed);
    let stored = match hash.map(|hash| StoredHash::parse(hash.as_str(), current)) {
        Some(Ok(stored)) => stored,
        unverifiable => {
            for password in [Some(&*normalized), other_form].into_iter().flatten() {
                memory.waste(current, password);
            }
            let fault = unverifiable.and_then(Result::err);
            return VerifyOutcome { matches: false, outdated: false, fault };
        }
    };
    let matches = stored.matches(&normalized, memory);
    // Also when the first comparison matched, so that the time does not tell which one did.
    let matches_typed = other_form.is_some_and(|typed| stored.matches(typed, memory));
    memory.shrink_to(current);
    let outdated = is_outdated(&stored, current, matches_typed && !matches);
    VerifyOutcome { matches: matches || matches_typed, outdated, fault: None }
}

/// Whether a hash that a password matches is replaced by a hash of the same password in Normalization Form C, of the kind and at the cost of
/// those of new passwords. This alone decides it.
fn is_outdated(stored: &StoredHash, current: &Params, matches_only_as_typed: bool) -> bool {
    match stored {
        StoredHash::Argon2id(hash) => !hash.has_cost_of(current) || matches_only_as_typed,
        _ => true,
    }
}

/// Returns how many hashes at the current cost take the time of comparing a password with a hash, which is at least one.
pub(super) fn weight(hash: Option<&PasswordHash>, current: &Params) -> usize {
    let stored = hash.and_then(|hash| StoredHash::parse(hash.as_str(), current).ok());
    stored.map_or(1, |stored| stored.weight(current)).max(1)
}
