//! How many codes may be guessed, and the alarm when many are.
//!
//! A guess is counted once for each live code that it is compared with. `docs/SECURITY.md` has the arithmetic.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use faceofmind_model::Email;
use tokio::sync::Semaphore;

use super::{Guesser, OtpError, messages::CodeKey, service::OtpService};
use crate::rate_limit::{Acquire, Limit, RateLimitError, RateLimitKey, Refund};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How much slower a stranger's guess is during the alarm.
const ALARM_DELAY: Duration = Duration::from_secs(2);
/// The most guesses that wait for it. Others are refused.
const MAX_DELAYED: usize = 256;

/// The alarm when wrong codes over all accounts rise.
#[derive(Debug)]
pub(super) struct Alarm {
    /// In microseconds.
    until: AtomicI64,
    delayed: Semaphore,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { until: AtomicI64::new(0), delayed: Semaphore::new(MAX_DELAYED) }
    }
}

impl OtpService {
    /// The limits of one guess, each as often as the guess weighs.
    pub(super) fn limits(&self, guesser: Guesser, account: &Email, client: &str, weight: usize) -> Vec<RateLimitKey> {
        let (settings, account) = (&self.settings, account.as_str());
        let daily = |name, max, subject: String| RateLimitKey { limit: Limit { name, max, window: DAY }, subject };
        let from_one = settings.max_failures_per_account_and_client;
        let once = match guesser {
            Guesser::Stranger => vec![
                daily("wrong codes for an account", settings.max_failures_per_account, account.to_owned()),
                daily("wrong codes for an account from one client", from_one, format!("{account} {client}")),
                daily("wrong codes from one client", settings.max_failures_per_client, client.to_owned()),
            ],
            Guesser::KnownNetwork => {
                vec![daily("wrong codes for an account from known networks", from_one, account.to_owned())]
            }
            Guesser::User(user) => vec![daily("wrong codes of a user", from_one, user.to_string())],
        };
        std::iter::repeat_n(once, weight).flatten().collect()
    }

    /// Whether limits keep a stranger at this client from entering a code.
    pub(super) async fn is_barred(&self, key: &CodeKey, account: &Email, client: &str) -> Result<bool, OtpError> {
        let limits = self.limits(Guesser::Stranger, account, client, self.weight(key).await?);
        match self.deps.limiter.ask(Acquire(limits)).await {
            Ok(free) => {
                self.deps.limiter.tell(Refund(free));
                Ok(false)
            }
            Err(RateLimitError::Exceeded { .. }) => Ok(true),
            Err(RateLimitError::Ask(error)) => Err(error.into()),
        }
    }

    /// Returns what a guess weighs now. Where no code is live it weighs as much as with one. A code that is issued before the guess is
    /// compared is not weighed.
    pub(super) async fn weight(&self, key: &CodeKey) -> Result<usize, OtpError> {
        let max_attempts = i32::from(self.settings.max_attempts);
        Ok(self.deps.codes.count_live(key, self.deps.clock.now(), max_attempts).await?.max(1))
    }

    /// Counts a wrong code over all accounts. Beyond the maximum of an hour the alarm is raised until that hour ends.
    pub(super) async fn watch_all_accounts(&self) {
        let max = self.settings.alarm_failures_per_hour;
        let limit = Limit { name: "wrong codes for all accounts", max, window: HOUR };
        let counted = self.deps.limiter.ask(Acquire(vec![RateLimitKey { limit, subject: String::new() }])).await;
        if let Err(RateLimitError::Exceeded { retry_after }) = counted {
            let now = self.deps.clock.now();
            if self.alarm.until.swap((now + retry_after).micros(), Ordering::Relaxed) <= now.micros() {
                tracing::warn!(
                    max,
                    "wrong codes over all accounts rose; guesses from unknown networks are slowed down"
                );
            }
        }
    }

    pub(super) fn is_alarmed(&self) -> bool {
        self.alarm.until.load(Ordering::Relaxed) > self.deps.clock.now().micros()
    }

    /// Delays a stranger's guess during the alarm.
    pub(super) async fn slow_down(&self, guesser: Guesser) -> Result<(), OtpError> {
        if guesser == Guesser::Stranger && self.is_alarmed() {
            let delayed = self.alarm.delayed.try_acquire();
            let _place = delayed.map_err(|_| OtpError::TooManyAttempts { retry_after: ALARM_DELAY })?;
            tokio::time::sleep(ALARM_DELAY).await;
        }
        Ok(())
    }
}
