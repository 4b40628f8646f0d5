//! What each mail says, decided when it is about to be sent.

use faceofmind_base::Timestamp;
use faceofmind_domain::{
    accounts::{GetMailContext, MailContext, MailTopic, UserRegistry},
    logins::{FindLogin, LoginRegistry},
    reminders::{FindSentReminder, ReminderScheduler},
};
use faceofmind_model::ClaimId;
use faceofmind_platform::{
    mail::{ComposeFuture, ComposedMail, Intent, Letter, MailComposer},
    otp::{Mint, Minted, Otp, Purpose},
};
use faceofmind_runtime::{Handle, legacy::Failure};
use jiff::{ZonedDateTime, tz::TimeZone};

/// Composes mails from what the modules know.
pub(crate) struct MailComposition {
    /// Knows the recipients and the topics.
    pub(crate) accounts: Handle<UserRegistry>,
    /// Knows the devices.
    pub(crate) logins: Handle<LoginRegistry>,
    /// Issues the codes.
    pub(crate) otp: Otp,
    /// Knows the reminders.
    pub(crate) reminders: Handle<ReminderScheduler>,
    /// The time zone of recipients who have set none.
    pub(crate) time_zone: TimeZone,
}

impl MailComposer for MailComposition {
    fn compose<'a>(&'a self, intent: &'a Intent) -> ComposeFuture<'a> {
        Box::pin(async move {
            let Some(reason) = &intent.occasion else { return Ok(None) };
            let Some(draft) = self.accounts.ask(GetMailContext { reason: reason.clone() }).await? else {
                return Ok(None);
            };
            let Some(letter) = self.letter(intent, &draft).await? else { return Ok(None) };
            Ok(Some(ComposedMail { user: draft.user, to: draft.to, language: draft.language, letter }))
        })
    }
}

impl MailComposition {
    /// What to say; nothing when the code that it would carry is beyond the budget, or what it tells of is gone. The owner of an account
    /// is not flooded either when others register its address or ask to move to it: that counts as a code, though none is told.
    async fn letter(&self, intent: &Intent, draft: &MailContext) -> Result<Option<Letter>, Failure> {
        let first_name = draft.first_name.clone();
        let zoned = |moment: Timestamp| self.zoned(moment, draft);
        let at = zoned(intent.created_at);
        Ok(match &draft.topic {
            MailTopic::Claim { claim, name, at } => {
                let minted = self.mint(intent, draft, Purpose::Verification, Some(*claim)).await?;
                minted.map(|minted| Letter::Welcome {
                    claim_name: name.clone(),
                    claimed_at: zoned(*at),
                    expires_in_minutes: minutes(&minted),
                    code: minted.code,
                })
            }
            MailTopic::Reset => {
                let minted = self.mint(intent, draft, Purpose::PasswordReset, None).await?;
                minted.map(|minted| Letter::ResetCode {
                    first_name,
                    expires_in_minutes: minutes(&minted),
                    code: minted.code,
                })
            }
            MailTopic::AlreadyRegistered => {
                let within_budget = self.mint(intent, draft, Purpose::Verification, None).await?;
                within_budget.map(|_nobody_is_told| Letter::AlreadyRegistered { first_name, at })
            }
            MailTopic::PasswordChanged => Some(Letter::PasswordChanged { first_name, at }),
            MailTopic::NewDevice(login) => {
                self.logins.ask(FindLogin { login: *login }).await?.map(|login| Letter::NewDevice {
                    first_name,
                    at: zoned(login.created_at),
                    address: login.client_ip.parse().ok(),
                    device: login.device,
                })
            }
            MailTopic::Reminder(reminder) => self
                .reminders
                .ask(FindSentReminder(*reminder))
                .await?
                .map(|reminder| Letter::Reminder { first_name, title: reminder.title, date: reminder.reminder_time.0 }),
            MailTopic::AddressClaim { claim, name } => {
                let minted = self.mint(intent, draft, Purpose::EmailChange, Some(*claim)).await?;
                minted.map(|minted| Letter::AddressCode {
                    claim_name: name.clone(),
                    claimed_at: at,
                    expires_in_minutes: minutes(&minted),
                    code: minted.code,
                })
            }
            MailTopic::AddressTaken => {
                let within_budget = self.mint(intent, draft, Purpose::EmailChange, None).await?;
                within_budget.map(|_nobody_is_told| Letter::AddressTaken { first_name, at })
            }
            MailTopic::AddressChangeAsked => Some(Letter::AddressChangeAsked { first_name, at }),
            MailTopic::AddressChanged => Some(Letter::AddressChanged { first_name, at }),
        })
    }

    async fn mint(
        &self,
        intent: &Intent,
        draft: &MailContext,
        purpose: Purpose,
        claim: Option<ClaimId>,
    ) -> Result<Option<Minted>, Failure> {
        let (address, client) = (draft.to.clone(), intent.client.clone());
        self.otp.mint(Mint { purpose, address, claim, intent: intent.id, client }).await
    }

    fn zoned(&self, moment: Timestamp, draft: &MailContext) -> ZonedDateTime {
        let own = draft.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok());
        moment.to_jiff().to_zoned_datetime(own.unwrap_or_else(|| self.time_zone.clone()))
    }
}

fn minutes(minted: &Minted) -> u32 {
    u32::try_from(minted.expires_in.as_secs() / 60).unwrap_or(u32::MAX)
}
