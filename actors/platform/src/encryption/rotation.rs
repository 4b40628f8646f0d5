//! A pass over encrypted texts: counts them by key, and encrypts again where the current key did not.

use std::collections::BTreeMap;

use super::{Keyring, key_id};

/// What a pass has met so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotationStats {
    pub seen: u64,
    /// By the key that encrypted the text when it was seen; `None` where the text was not encrypted.
    pub by_key: BTreeMap<Option<String>, u64>,
    pub rewritten: u64,
    /// Texts that no key of the keyring decrypts. They stay as they are.
    pub unreadable: u64,
}

/// One pass over the encrypted texts of one kind. The module that holds them visits each.
pub struct RotationPass<'a> {
    keyring: &'a Keyring,
    rewrites: bool,
    stats: RotationStats,
    progress: &'a mut (dyn FnMut(&RotationStats) + Send),
}

impl<'a> RotationPass<'a> {
    /// Returns a pass that only counts. `progress` is called after each page.
    pub fn dry_run(keyring: &'a Keyring, progress: &'a mut (dyn FnMut(&RotationStats) + Send)) -> Self {
        Self { keyring, rewrites: false, stats: RotationStats::default(), progress }
    }

    /// Returns a pass that also encrypts again. `progress` is called after each page.
    pub fn rewrite(keyring: &'a Keyring, progress: &'a mut (dyn FnMut(&RotationStats) + Send)) -> Self {
        Self { rewrites: true, ..Self::dry_run(keyring, progress) }
    }

    /// Counts a stored text, and returns what to store in its place, if anything.
    pub fn visit(&mut self, aad: &str, stored: &str) -> Option<String> {
        self.stats.seen += 1;
        *self.stats.by_key.entry(key_id(stored).map(str::to_owned)).or_default() += 1;
        if !self.rewrites || self.keyring.is_current(stored) {
            return None;
        }
        let rewritten = self.keyring.decrypt(aad, stored).and_then(|text| self.keyring.encrypt(aad, &text));
        if let Err(error) = &rewritten {
            self.stats.unreadable += 1;
            // Texts under a missing key may be millions: the stats count them, and the log does not name each.
            if key_id(stored).is_some_and(|id| self.keyring.has(id)) {
                tracing::warn!(%error, "stored text was not encrypted again");
            }
        }
        rewritten.ok()
    }

    /// Records that a page was committed in which `replaced` texts were replaced. The others had changed or gone meanwhile.
    pub fn page_done(&mut self, replaced: u64) {
        self.stats.rewritten += replaced;
        (self.progress)(&self.stats);
    }

    /// Ends the pass.
    pub fn finish(self) -> RotationStats {
        self.stats
    }
}
