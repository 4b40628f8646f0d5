//! The most mails that an address gets in a day, by who causes them. Notices about the security of an account have no bound: those of new
//! log-ins are put off, and then sent as one mail.

use std::time::Duration;

use faceofmind_domain::accounts::{MailContext, MailTopic};
use faceofmind_platform::{
    Platform, login_store,
    mail::{ComposeError, MailJob},
    rate_limit::{Acquire, Limit, RateLimitError, RateLimitKey},
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What clients cause for an address from networks that its account does not know, all together and each.
const BY_STRANGERS: Limit = Limit { name: "mails caused by strangers", max: 24, window: DAY };
const BY_ONE_STRANGER: Limit = Limit { name: "mails caused by one stranger", max: 12, window: DAY };
/// What clients cause from networks that the account knows: nothing that strangers do uses it up.
const BY_OWNER: Limit = Limit { name: "mails caused by the owner", max: 24, window: DAY };
const REMINDERS: Limit = Limit { name: "reminders mailed", max: 50, window: DAY };
/// Further ones become one mail.
const NEW_LOGINS: Limit = Limit { name: "notices of new log-ins", max: 5, window: HOUR };

/// Whether a mail fits.
pub(crate) enum Spent {
    Fits,
    Exceeded,
    /// It fits after this time.
    Later(Duration),
}

/// Counts mails.
pub(crate) struct MailBudgets<'a>(pub(crate) &'a Platform);

impl MailBudgets<'_> {
    /// Counts the mail at its first attempt.
    pub(crate) async fn spend(&self, job: &MailJob, context: &MailContext) -> Result<Spent, ComposeError> {
        if job.attempts > 1 {
            return Ok(Spent::Fits);
        }
        let keys = self.keys(job, context).await?;
        match self.0.limiter.ask(Acquire(keys)).await {
            Ok(_reservation) => Ok(Spent::Fits),
            Err(RateLimitError::Exceeded { retry_after }) if matches!(context.topic, MailTopic::NewDevice(_)) => {
                Ok(Spent::Later(retry_after))
            }
            Err(RateLimitError::Exceeded { .. }) => {
                tracing::warn!(mail = %job.id, user = %context.user, "mail dropped: its recipient has had the most mails of this kind for today");
                Ok(Spent::Exceeded)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn keys(&self, job: &MailJob, context: &MailContext) -> Result<Vec<RateLimitKey>, ComposeError> {
        let of = |limit, subject: String| RateLimitKey { limit, subject };
        let (address, user) = (context.to.as_str(), context.user);
        Ok(match &context.topic {
            MailTopic::Claim { .. } | MailTopic::AlreadyRegistered | MailTopic::Reset => {
                let mut reader = self.0.db.read_conn().await?;
                let known = login_store::known_since(&mut reader, user, &job.client).await?;
                drop(reader);
                if known.is_some() { vec![of(BY_OWNER, address.to_owned())] } else { self.of_a_stranger(job, address) }
            }
            // The user of another account asks for this address.
            MailTopic::AddressClaim { .. } | MailTopic::AddressTaken => self.of_a_stranger(job, address),
            MailTopic::Reminder(_) => vec![of(REMINDERS, user.to_string())],
            MailTopic::NewDevice(_) => vec![of(NEW_LOGINS, user.to_string())],
            MailTopic::PasswordChanged | MailTopic::AddressChangeAsked | MailTopic::AddressChanged => Vec::new(),
        })
    }

    fn of_a_stranger(&self, job: &MailJob, address: &str) -> Vec<RateLimitKey> {
        vec![
            RateLimitKey { limit: BY_STRANGERS, subject: address.to_owned() },
            RateLimitKey { limit: BY_ONE_STRANGER, subject: format!("{address} {}", job.client) },
        ]
    }
}
