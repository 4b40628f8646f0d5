//! What each mail says, decided when it is about to be sent.

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_db::StoreError;
use faceofmind_domain::{
    accounts::{GetMailContext, MailContext, MailTopic},
    logins::FindLogin,
    reminders::FindSentReminder,
};
use faceofmind_model::{ClaimId, Email, FoldedNotices, FoldedTopic, LoginId, MailReason};
use faceofmind_platform::{
    Platform, login_store,
    mail::{
        ComposeError, ComposeFuture, Composed, ComposedMail, DeviceLogin, MailComposer, MailJob, MailTemplate, Tries,
    },
    otp::{IssueCode, IssuedCode, OtpError, Purpose},
};
use futures_util::future::BoxFuture;
use jiff::{ZonedDateTime, tz::TimeZone};

use crate::{
    mail_budgets::{self, Spent},
    modules::Modules,
};

/// Composes mails from what the modules know.
pub(crate) struct MailComposition {
    pub(crate) modules: Modules,
    pub(crate) platform: Platform,
}

impl MailComposer for MailComposition {
    /// The store of codes may be Redis.
    fn is_up(&self) -> BoxFuture<'_, bool> {
        Box::pin(self.platform.codes.is_up())
    }

    fn compose<'a>(&'a self, job: &'a MailJob) -> ComposeFuture<'a> {
        Box::pin(async move {
            let Some(reason) = job.reason.clone() else { return Ok(Composed::Nothing) };
            let found = self.modules.accounts.ask(GetMailContext { reason: reason.clone() }).await?;
            let Some(context) = found else { return self.issue_unsent(job, reason).await };
            let is_known = self.is_known(job, &context).await?;
            let spent = mail_budgets::spend(&self.platform.limiter, job, &context, is_known).await?;
            if let (Spent::Later(delay), MailTopic::NewDevice(_)) = (&spent, &context.topic) {
                return Ok(Composed::Later(*delay));
            }
            // Beyond the limit a code is issued too, as for an address without an account, so that guesses do not tell one from the other.
            let template = self.template(job, &context, is_known).await?;
            let template = match (spent, template) {
                (Spent::Fits, Some(template)) => template,
                (Spent::Fits, None) => return Ok(put_off(job, context, QUOTA_WINDOW)),
                (Spent::Later(delay), _) => {
                    let put_off = put_off(job, context, delay);
                    if matches!(put_off, Composed::Nothing) {
                        tracing::warn!(mail = %job.id, "mail dropped: its recipient has reached the limit of such mails");
                    }
                    return Ok(put_off);
                }
            };
            let MailContext { user, to, language, .. } = context;
            Ok(Composed::Mail(Box::new(ComposedMail { user, to, language, template })))
        })
    }
}

/// The most logins that one notice lists. It counts the others.
const MAX_LISTED: usize = 10;
/// The window of the quota of codes, which also bounds the notices that are sent in place of a code.
const QUOTA_WINDOW: Duration = Duration::from_secs(600);

/// Folds a notice of security, which is never dropped. Other mails are not sent later: the user requests a new code.
fn put_off(job: &MailJob, context: MailContext, delay: Duration) -> Composed {
    let MailContext { user, to: address, topic, .. } = context;
    let one = |topic| FoldedNotices { user, address, topic, count: 1, first: job.created_at, last: job.created_at };
    let notices = match topic {
        MailTopic::AlreadyRegistered { .. } => one(FoldedTopic::AlreadyRegistered),
        MailTopic::AddressTaken => one(FoldedTopic::AddressTaken),
        MailTopic::Folded(notices) => notices,
        _ => return Composed::Nothing,
    };
    Composed::Fold(notices, delay)
}

impl MailComposition {
    /// Whether the account knows the network of the client that caused the mail, for mails that a stranger could cause too. A change of
    /// address is the request of another account's user.
    async fn is_known(&self, job: &MailJob, context: &MailContext) -> Result<bool, StoreError> {
        if !matches!(context.topic, MailTopic::Claim { .. } | MailTopic::AlreadyRegistered { .. } | MailTopic::Reset) {
            return Ok(false);
        }
        let mut reader = self.platform.db.read_conn().await?;
        Ok(login_store::known_since(&mut reader, context.user, &job.client).await?.is_some())
    }

    /// Returns what the mail says, or `None` when its code exceeds the quota or its topic is gone. A notice that an address was registered
    /// again, or is to be changed to, issues a code that is not mailed: so it counts for the quota, and the owner is not flooded.
    async fn template(
        &self,
        job: &MailJob,
        context: &MailContext,
        is_known: bool,
    ) -> Result<Option<MailTemplate>, ComposeError> {
        let issue = |purpose, claim| self.issue(job, context.to.clone(), purpose, claim, is_known);
        let first_name = context.first_name.clone();
        let zoned = |moment: Timestamp| self.zoned(moment, context);
        let at = zoned(job.created_at);
        let once = || Tries { count: 1, first: zoned(job.created_at), last: zoned(job.created_at) };
        Ok(match &context.topic {
            MailTopic::Claim { claim, name, at, has_others } => {
                let issued = issue(Purpose::Verification, Some(*claim)).await?;
                issued.map(|issued| MailTemplate::Welcome {
                    claim_name: name.clone(),
                    claimed_at: zoned(*at),
                    network: if *has_others { job.client.clone() } else { String::new() },
                    has_others: *has_others,
                    expires_in_minutes: minutes(&issued),
                    code: issued.code,
                    link: issued.link,
                })
            }
            MailTopic::Reset => {
                let issued = issue(Purpose::PasswordReset, None).await?;
                issued.map(|issued| MailTemplate::ResetCode {
                    first_name,
                    expires_in_minutes: minutes(&issued),
                    code: issued.code,
                    link: issued.link,
                })
            }
            MailTopic::AlreadyRegistered { is_stored: false } => None,
            MailTopic::AlreadyRegistered { is_stored: true } => {
                let unsent = issue(Purpose::Verification, None).await?;
                unsent.map(|_| MailTemplate::AlreadyRegistered { first_name, tries: once() })
            }
            MailTopic::PasswordChanged => Some(MailTemplate::PasswordChanged { first_name, at }),
            MailTopic::NewDevice(login) => self.new_logins(job, context, *login).await?,
            MailTopic::Reminder(reminder) => {
                self.modules.reminders.ask(FindSentReminder(*reminder)).await?.map(|reminder| MailTemplate::Reminder {
                    first_name,
                    title: reminder.title,
                    date: reminder.reminder_time.0,
                })
            }
            MailTopic::AddressClaim { claim, name } => {
                let issued = issue(Purpose::EmailChange, Some(*claim)).await?;
                issued.map(|issued| MailTemplate::AddressCode {
                    claim_name: name.clone(),
                    claimed_at: at,
                    expires_in_minutes: minutes(&issued),
                    code: issued.code,
                })
            }
            MailTopic::AddressTaken => {
                let unsent = issue(Purpose::EmailChange, None).await?;
                unsent.map(|_| MailTemplate::AddressTaken { first_name, tries: once() })
            }
            MailTopic::AddressChangeAsked => Some(MailTemplate::AddressChangeAsked { first_name, at }),
            MailTopic::AddressChanged => Some(MailTemplate::AddressChanged { first_name, at }),
            MailTopic::Folded(FoldedNotices { topic, count, first, last, .. }) => {
                let tries = Tries { count: *count, first: zoned(*first), last: zoned(*last) };
                Some(match topic {
                    FoldedTopic::AlreadyRegistered => MailTemplate::AlreadyRegistered { first_name, tries },
                    FoldedTopic::AddressTaken => MailTemplate::AddressTaken { first_name, tries },
                })
            }
        })
    }

    /// Returns the notice of a login and of those that wait for the same mail, or `None` when they have gone.
    async fn new_logins(
        &self,
        job: &MailJob,
        context: &MailContext,
        first: LoginId,
    ) -> Result<Option<MailTemplate>, ComposeError> {
        let others = job.alike.iter().filter_map(|(_, reason)| match reason {
            MailReason::NewDevice { login, .. } => Some(*login),
            _ => None,
        });
        let mut listed = Vec::new();
        for login in std::iter::once(first).chain(others).take(MAX_LISTED) {
            let login = self.modules.logins.ask(FindLogin { login }).await?;
            listed.extend(login.map(|login| DeviceLogin {
                at: self.zoned(login.created_at, context),
                address: login.client_ip.parse().ok(),
                device: login.device,
            }));
        }
        let (first_name, more) = (context.first_name.clone(), (1 + job.alike.len()).saturating_sub(MAX_LISTED));
        Ok((!listed.is_empty()).then_some(MailTemplate::NewDevice { first_name, logins: listed, more }))
    }

    /// A reset of an address without an account issues a code that is not mailed: so guesses at it cost what guesses at a sent code cost,
    /// and do not reveal which accounts exist.
    async fn issue_unsent(&self, job: &MailJob, reason: MailReason) -> Result<Composed, ComposeError> {
        if let MailReason::PasswordReset { email } = reason {
            self.issue(job, email, Purpose::PasswordReset, None, false).await?;
        }
        Ok(Composed::Nothing)
    }

    async fn issue(
        &self,
        job: &MailJob,
        address: Email,
        purpose: Purpose,
        claim: Option<ClaimId>,
        is_known: bool,
    ) -> Result<Option<IssuedCode>, OtpError> {
        let client = job.client.clone();
        self.platform.otp.ask(IssueCode { purpose, address, claim, job: job.id, client, is_known }).await
    }

    fn zoned(&self, moment: Timestamp, context: &MailContext) -> ZonedDateTime {
        let own = context.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok());
        moment.to_jiff().to_zoned_datetime(own.unwrap_or_else(|| self.platform.time_zone.clone()))
    }
}

fn minutes(issued: &IssuedCode) -> u32 {
    u32::try_from(issued.expires_in.as_secs() / 60).unwrap_or(u32::MAX)
}
