//! A round through sealed texts: by which keys they are sealed, and sealed anew where today's key did not.

use std::collections::BTreeMap;

use super::{Keyring, key_of};

/// What a round has met so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Texts looked at.
    pub seen: u64,
    /// By the key that sealed them when they were looked at; `None`: not sealed at all.
    pub by_key: BTreeMap<Option<String>, u64>,
    /// Sealed anew.
    pub renewed: u64,
    /// Not sealed anew, since no key of ours opens them.
    pub unreadable: u64,
}

/// One round through the texts of one kind, which their room leads.
pub struct Round<'a> {
    keyring: &'a Keyring,
    renews: bool,
    tally: Tally,
    tell: &'a mut (dyn FnMut(&Tally) + Send),
}

impl<'a> Round<'a> {
    /// Only looks. `tell` hears after each page how far it is.
    pub fn looking(keyring: &'a Keyring, tell: &'a mut (dyn FnMut(&Tally) + Send)) -> Self {
        Self { keyring, renews: false, tally: Tally::default(), tell }
    }

    /// Also seals anew. `tell` hears after each page how far it is.
    pub fn renewing(keyring: &'a Keyring, tell: &'a mut (dyn FnMut(&Tally) + Send)) -> Self {
        Self { renews: true, ..Self::looking(keyring, tell) }
    }

    /// Looks at the text that rests at this place; what to put there instead, if anything.
    pub fn look(&mut self, place: &str, stored: &str) -> Option<String> {
        self.tally.seen += 1;
        *self.tally.by_key.entry(key_of(stored).map(str::to_owned)).or_default() += 1;
        if !self.renews || self.keyring.is_current(stored) {
            return None;
        }
        let renewed = self.keyring.open(place, stored).and_then(|text| self.keyring.seal(place, &text));
        if let Err(failure) = &renewed {
            self.tally.unreadable += 1;
            // Of a key that is not there the tally tells; there may be millions.
            if key_of(stored).is_some_and(|id| self.keyring.has(id)) {
                tracing::warn!(%failure, "a text was not sealed anew");
            }
        }
        renewed.ok()
    }

    /// A page has been committed, in which so many texts were replaced; the others had changed or gone meanwhile.
    pub fn turn_page(&mut self, replaced: u64) {
        self.tally.renewed += replaced;
        (self.tell)(&self.tally);
    }

    /// What it has met.
    pub fn end(self) -> Tally {
        self.tally
    }
}
