//! How many codes may go to one address. No I/O. Redis keeps to the same rules in `store/lua/mint.lua`.

use std::{collections::BTreeSet, time::Duration};

/// What may be minted for one address and purpose within a sliding window.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The window.
    pub within: Duration,
    /// Mail intents that get codes.
    pub intents: u32,
    /// As many of them at most may be caused by one client address.
    pub of_one_client: u32,
    /// Codes for one intent: every attempt to send it mints its own, without using the budget again.
    pub attempts: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { within: Duration::from_secs(600), intents: 3, of_one_client: 2, attempts: 10 }
    }
}

/// A code minted within the window: for which intent, and which client caused that.
pub(super) type Earlier = (String, String);

impl Budget {
    /// Whether one more code fits beside the earlier ones.
    pub(super) fn allows(&self, intent: &str, client: &str, earlier: &[Earlier]) -> bool {
        let attempts = earlier.iter().filter(|(of, _)| of == intent).count();
        if attempts > 0 {
            return attempts < self.attempts as usize;
        }
        let intents: BTreeSet<_> = earlier.iter().collect();
        let of_client = intents.iter().filter(|(_, by)| by == client).count();
        intents.len() < self.intents as usize && of_client < self.of_one_client as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earlier(codes: &[(&str, &str)]) -> Vec<Earlier> {
        codes.iter().map(|&(intent, client)| (intent.to_owned(), client.to_owned())).collect()
    }

    #[test]
    fn three_intents_two_of_one_client() {
        let budget = Budget::default();
        assert!(budget.allows("2", "phone", &earlier(&[("1", "phone")])));
        let two = earlier(&[("1", "phone"), ("2", "phone")]);
        assert!(!budget.allows("3", "phone", &two));
        assert!(budget.allows("3", "desk", &two));
        assert!(!budget.allows("4", "attic", &earlier(&[("1", "phone"), ("2", "phone"), ("3", "desk")])));
    }

    #[test]
    fn a_further_attempt_is_free_up_to_ten() {
        let budget = Budget::default();
        let full = [("1", "phone"), ("2", "phone"), ("3", "desk")];
        assert!(budget.allows("2", "phone", &earlier(&full)));
        assert!(!budget.allows("1", "phone", &earlier(&[("1", "phone"); 10])));
        assert!(budget.allows("2", "phone", &earlier(&[("1", "phone"); 10])));
    }
}
