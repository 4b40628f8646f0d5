//! What a mail is to say. Decided when it is about to be sent: until then an intent only says why.

use faceofmind_kit::{Failure, Timestamp};

use super::{
    ClaimId, Email, Status,
    claims::{self, Claim},
    ledger::Ledger,
    store::{self, Account},
};
use crate::{logins::LoginId, mailer::Occasion, reminders::ReminderId};

/// A mail to be written.
#[derive(Clone, Debug)]
pub struct Draft {
    /// To whom.
    pub to: Email,
    /// By what name to call them.
    pub first_name: String,
    /// In which zone to tell the time, if they have set one.
    pub time_zone: Option<String>,
    /// In which language to write, if they have set one.
    pub language: Option<String>,
    /// About what.
    pub subject: Subject,
}

/// What a mail is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Somebody says that this address is theirs; a code proves it.
    Claim {
        /// Which claim the code is for.
        claim: ClaimId,
        /// The name that the claim gives, first and last.
        name: String,
        /// When it was made.
        at: Timestamp,
    },
    /// Somebody registers an address that has an account.
    AlreadyRegistered,
    /// Somebody has forgotten the password; a code lets them set another.
    Reset,
    /// The password was changed.
    PasswordChanged,
    /// Somebody logged in with a device that was not seen before.
    NewDevice(LoginId),
    /// They wanted to be reminded of something.
    Reminder(ReminderId),
}

impl Ledger {
    pub(super) async fn draft(&self, occasion: &Occasion) -> Result<Option<Draft>, Failure> {
        let mut reader = self.db.reader().await?;
        let account = match occasion {
            Occasion::Registration { user, .. }
            | Occasion::PasswordChanged { user }
            | Occasion::NewDevice { user, .. }
            | Occasion::Reminder { user, .. } => store::by_id(reader.connection(), *user).await?,
            Occasion::PasswordReset { email } => store::by_email(reader.connection(), email).await?,
        };
        let Some(Account { user, .. }) = account else { return Ok(None) };
        let subject = match occasion {
            Occasion::Registration { claim, .. } => {
                let claim = claims::find(reader.connection(), user.id, *claim).await?;
                claim.map(|claim| Subject::of(claim, user.status))
            }
            Occasion::PasswordReset { .. } => Some(Subject::Reset),
            Occasion::PasswordChanged { .. } => Some(Subject::PasswordChanged),
            Occasion::NewDevice { login, .. } => Some(Subject::NewDevice(*login)),
            Occasion::Reminder { reminder, .. } => {
                Some(Subject::Reminder(*reminder)).filter(|_| user.status == Status::Active)
            }
        };
        Ok(subject.map(|subject| Draft {
            to: user.email,
            first_name: user.first_name,
            time_zone: user.time_zone,
            language: user.language,
            subject,
        }))
    }
}

impl Subject {
    /// A claim that lives can be proven as long as the account is inactive. One that ended, replaced or verified, is no news.
    fn of(claim: Claim, status: Status) -> Self {
        if status != Status::Inactive {
            return Self::AlreadyRegistered;
        }
        let name = format!("{} {}", claim.first_name, claim.last_name);
        Self::Claim { claim: claim.id, name, at: claim.created_at }
    }
}
