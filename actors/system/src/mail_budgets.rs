//! The most mails that an address gets in a day, by who causes them. A notice about the security of an account is never dropped: beyond its
//! bound it is put off, and then sent with others of its kind as one mail.

use std::time::Duration;

use faceofmind_domain::accounts::{MailContext, MailTopic};
use faceofmind_platform::{
    mail::{ComposeError, MailJob},
    rate_limit::{Acquire, Limit, RateLimitError, RateLimitKey, RateLimiter},
};
use faceofmind_runtime::Handle;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// What strangers use up is there again before the next day.
const THIRD_OF_A_DAY: Duration = Duration::from_secs(8 * 3600);
/// From one morning's reminders to the next morning's it is over.
const MORNING_TO_MORNING: Duration = Duration::from_secs(20 * 3600);

/// What clients cause for an address from networks that its account does not know, all together and each.
const BY_STRANGERS: Limit = Limit { name: "mails caused by strangers", max: 12, window: THIRD_OF_A_DAY };
const BY_ONE_STRANGER: Limit = Limit { name: "mails caused by one stranger", max: 6, window: THIRD_OF_A_DAY };
/// What clients cause from networks that the account knows: nothing that strangers do uses it up.
const BY_OWNER: Limit = Limit { name: "mails caused by the owner", max: 24, window: DAY };
const REMINDERS: Limit = Limit { name: "reminders mailed", max: 50, window: MORNING_TO_MORNING };
/// The mails for notices beyond the bounds above, of an address and topic. *Why* a limit of their own: strangers who use up the other limits
/// whenever a window starts would put them off again and again.
const FOLDED_NOTICES: Limit = Limit { name: "notices sent as one mail", max: 1, window: THIRD_OF_A_DAY };
/// Further ones become one mail.
const NEW_LOGINS: Limit = Limit { name: "notices of new log-ins", max: 5, window: HOUR };

/// Whether a mail fits.
pub(crate) enum Spent {
    Fits,
    /// It fits after this time.
    Later(Duration),
}

/// Counts the mail at its first attempt. `is_known` is whether the account knows the network of the client that caused it.
pub(crate) async fn spend(
    limiter: &Handle<RateLimiter>,
    job: &MailJob,
    context: &MailContext,
    is_known: bool,
) -> Result<Spent, ComposeError> {
    if job.attempts > 1 {
        return Ok(Spent::Fits);
    }
    match limiter.ask(Acquire(keys(job, context, is_known))).await {
        Ok(_reservation) => Ok(Spent::Fits),
        Err(RateLimitError::Exceeded { retry_after }) => Ok(Spent::Later(retry_after)),
        Err(error) => Err(error.into()),
    }
}

/// Returns what the mail counts for.
fn keys(job: &MailJob, context: &MailContext, is_known: bool) -> Vec<RateLimitKey> {
    let of = |limit, subject: String| RateLimitKey { limit, subject };
    let (address, user) = (context.to.as_str(), context.user);
    match &context.topic {
        // It is put off in any case, because no code is issued for it.
        MailTopic::AlreadyRegistered { is_stored: false } => Vec::new(),
        MailTopic::Claim { .. } | MailTopic::AlreadyRegistered { .. } | MailTopic::Reset if is_known => {
            vec![of(BY_OWNER, address.to_owned())]
        }
        MailTopic::Claim { .. }
        | MailTopic::AlreadyRegistered { .. }
        | MailTopic::Reset
        | MailTopic::AddressClaim { .. }
        | MailTopic::AddressTaken => {
            vec![of(BY_STRANGERS, address.to_owned()), of(BY_ONE_STRANGER, format!("{address} {}", job.client))]
        }
        MailTopic::Reminder(_) => vec![of(REMINDERS, user.to_string())],
        MailTopic::NewDevice(_) => vec![of(NEW_LOGINS, user.to_string())],
        MailTopic::Folded(notices) => vec![of(FOLDED_NOTICES, format!("{address} {}", notices.topic.as_str()))],
        MailTopic::PasswordChanged | MailTopic::AddressChangeAsked | MailTopic::AddressChanged => Vec::new(),
    }
}
