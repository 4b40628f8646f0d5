//! How many codes may be mailed to one address. No I/O. `store/lua/issue.lua` applies the same rules in Redis.

use std::{collections::BTreeSet, time::Duration};

/// What may be issued for one address and purpose within a sliding window, for strangers and apart from them for clients in networks that the
/// account knows.
#[derive(Clone, Copy, Debug)]
pub struct IssueQuota {
    pub window: Duration,
    /// Mail jobs that get a code.
    pub max_mails: u32,
    /// Of them, those caused by one client.
    pub max_per_client: u32,
    /// Codes for one mail job. Each attempt to send it issues a new code, which does not count as another mail.
    pub max_attempts: u32,
}

impl Default for IssueQuota {
    fn default() -> Self {
        Self { window: Duration::from_secs(600), max_mails: 3, max_per_client: 2, max_attempts: 10 }
    }
}

/// A code issued within the window: its mail job, and the client that caused the job.
pub(super) type PreviousIssue = (String, String);

/// A code with more attempts than this is a link. Links are in the same mails as codes and have no quota of their own.
pub(super) const MAX_CODE_ATTEMPTS: i32 = 1000;

/// The prefix of the stored client if the account knew its network.
pub(super) const KNOWN: &str = "known:";

impl IssueQuota {
    /// Whether one more code fits beside the previous ones.
    pub(super) fn allows(&self, job: &str, client: &str, previous: &[PreviousIssue]) -> bool {
        let attempts = previous.iter().filter(|(of, _)| of == job).count();
        if attempts > 0 {
            return attempts < self.max_attempts as usize;
        }
        let is_known = |client: &str| client.starts_with(KNOWN);
        let jobs: BTreeSet<_> = previous.iter().filter(|(_, by)| is_known(by) == is_known(client)).collect();
        let of_client = jobs.iter().filter(|(_, by)| by == client).count();
        jobs.len() < self.max_mails as usize && of_client < self.max_per_client as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn previous(codes: &[(&str, &str)]) -> Vec<PreviousIssue> {
        codes.iter().map(|&(job, client)| (job.to_owned(), client.to_owned())).collect()
    }

    #[test]
    fn three_mails_two_of_one_client() {
        let quota = IssueQuota::default();
        assert!(quota.allows("2", "phone", &previous(&[("1", "phone")])));
        let two = previous(&[("1", "phone"), ("2", "phone")]);
        assert!(!quota.allows("3", "phone", &two));
        assert!(quota.allows("3", "laptop", &two));
        assert!(!quota.allows("4", "tablet", &previous(&[("1", "phone"), ("2", "phone"), ("3", "laptop")])));
    }

    #[test]
    fn strangers_and_the_owner_use_up_nothing_of_each_other() {
        let quota = IssueQuota::default();
        let strangers = [("1", "phone"), ("2", "phone"), ("3", "laptop")];
        let owner = [("4", "known:tablet"), ("5", "known:tablet"), ("6", "known:desktop")];
        assert!(quota.allows("4", "known:tablet", &previous(&strangers)));
        assert!(quota.allows("1", "phone", &previous(&owner)));
        assert!(!quota.allows("7", "known:phone", &previous(&owner)));
    }

    #[test]
    fn a_further_attempt_is_free_up_to_ten() {
        let quota = IssueQuota::default();
        let full = [("1", "phone"), ("2", "phone"), ("3", "laptop")];
        assert!(quota.allows("2", "phone", &previous(&full)));
        assert!(!quota.allows("1", "phone", &previous(&[("1", "phone"); 10])));
        assert!(quota.allows("2", "phone", &previous(&[("1", "phone"); 10])));
    }
}
