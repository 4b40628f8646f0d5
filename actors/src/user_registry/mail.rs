//! What a mail is to say. Decided when it is about to be sent: until then an intent only says why.

use faceofmind_kit::{Failure, Timestamp};

use super::{ClaimId, Email, Status, ledger::Ledger, store};
use crate::{logins::LoginId, mailer::Occasion, user_registry::claims};

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
}

impl Ledger {
    pub(super) async fn draft(&self, occasion: &Occasion) -> Result<Option<Draft>, Failure> {
        let mut tx = self.db.begin().await?;
        let account = match occasion {
            Occasion::Registration { user, .. }
            | Occasion::PasswordChanged { user }
            | Occasion::NewDevice { user, .. } => store::by_id(tx.connection(), *user).await?,
            Occasion::PasswordReset { email } => store::by_email(tx.connection(), email).await?,
        };
        let Some(account) = account else { return Ok(None) };
        let subject = match occasion {
            Occasion::Registration { user, claim } if account.user.status == Status::Inactive => {
                claims::find(&mut tx, *user, *claim).await?.map(|claim| Subject::Claim {
                    claim: claim.id,
                    name: format!("{} {}", claim.first_name, claim.last_name),
                    at: claim.created_at,
                })
            }
            Occasion::Registration { .. } => Some(Subject::AlreadyRegistered),
            Occasion::PasswordReset { .. } => Some(Subject::Reset),
            Occasion::PasswordChanged { .. } => Some(Subject::PasswordChanged),
            Occasion::NewDevice { login, .. } => Some(Subject::NewDevice(*login)),
        };
        tx.rollback().await?;
        let user = account.user;
        Ok(subject.map(|subject| Draft {
            to: user.email,
            first_name: user.first_name,
            time_zone: user.time_zone,
            language: user.language,
            subject,
        }))
    }
}
