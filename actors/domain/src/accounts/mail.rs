//! What a mail is to say. Decided when it is about to be sent: until then an intent only says why.

use faceofmind_base::Timestamp;
use faceofmind_db::ReadConn;
use faceofmind_runtime::legacy::Failure;

use super::{
    ClaimId, Email, Status, User, UserId, address_changes,
    claims::{self, Claim},
    ledger::Ledger,
    store::{self, Account},
};
use faceofmind_model::MailReason;
use faceofmind_model::login::LoginId;
use faceofmind_model::reminder::ReminderId;

/// A mail to be written.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Whose account it is about.
    pub user: UserId,
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
    /// A user wants to move to this address; a code proves it.
    AddressClaim {
        /// Which claim the code is for.
        claim: ClaimId,
        /// The user's name, first and last.
        name: String,
    },
    /// Somebody wants to move to an address that has an account.
    AddressTaken,
    /// The user wants to move to another address.
    AddressChangeAsked,
    /// The user has moved to another address.
    AddressChanged,
}

impl Ledger {
    pub(super) async fn draft(&self, occasion: &MailReason) -> Result<Option<Draft>, Failure> {
        let mut reader = self.db.read_conn().await?;
        let account = match occasion {
            MailReason::Registration { user, .. }
            | MailReason::PasswordChanged { user }
            | MailReason::NewDevice { user, .. }
            | MailReason::Reminder { user, .. }
            | MailReason::AddressClaim { user, .. }
            | MailReason::AddressChangeAsked { user, .. }
            | MailReason::AddressChanged { user, .. } => store::by_id(reader.connection(), *user).await?,
            MailReason::PasswordReset { email } => store::by_email(reader.connection(), email).await?,
        };
        let Some(Account { user, .. }) = account else { return Ok(None) };
        Ok(match occasion {
            MailReason::Registration { claim, .. } => {
                let claim = claims::find(reader.connection(), user.id, *claim).await?;
                claim.map(|claim| Draft::about(claim, user))
            }
            MailReason::PasswordReset { .. } => Some(Draft::to(user, Subject::Reset)),
            MailReason::PasswordChanged { .. } => Some(Draft::to(user, Subject::PasswordChanged)),
            MailReason::NewDevice { login, .. } => Some(Draft::to(user, Subject::NewDevice(*login))),
            MailReason::AddressClaim { claim, .. } => self.draft_to_wanted_address(&mut reader, user, *claim).await?,
            MailReason::AddressChangeAsked { old, .. } => Some(Draft::to(user, Subject::AddressChangeAsked).at(old)),
            MailReason::AddressChanged { old, .. } => Some(Draft::to(user, Subject::AddressChanged).at(old)),
            MailReason::Reminder { reminder, .. } => {
                let is_active = user.status == Status::Active;
                is_active.then(|| Draft::to(user, Subject::Reminder(*reminder)))
            }
        })
    }

    /// To whoever has the mailbox that the user wants to move to, if they still do: the owner of the account that has the address is told
    /// of it, and gets no code.
    async fn draft_to_wanted_address(
        &self,
        reader: &mut ReadConn,
        user: User,
        claim: ClaimId,
    ) -> Result<Option<Draft>, Failure> {
        let wanted = address_changes::wanted(reader.connection(), user.id, self.clock.now()).await?;
        let Some((_, address)) = wanted.filter(|(wanted, _)| *wanted == claim) else { return Ok(None) };
        if let Some(Account { user: holder, .. }) = store::by_email(reader.connection(), &address).await?
            && !store::is_unproven(reader.connection(), holder.id).await?
        {
            return Ok(Some(Draft::to(holder, Subject::AddressTaken)));
        }
        let name = format!("{} {}", user.first_name, user.last_name);
        Ok(Some(Draft::to(user, Subject::AddressClaim { claim, name }).at(&address)))
    }
}

impl Draft {
    /// A claim that lives can be proven as long as the account is inactive, and is written of in the language of who made it. One that
    /// ended, replaced or verified, is no news.
    fn about(claim: Claim, user: User) -> Self {
        if user.status != Status::Inactive {
            return Self::to(user, Subject::AlreadyRegistered);
        }
        let name = format!("{} {}", claim.first_name, claim.last_name);
        let language = claim.language.or_else(|| user.language.clone());
        Self { language, ..Self::to(user, Subject::Claim { claim: claim.id, name, at: claim.created_at }) }
    }

    fn to(user: User, subject: Subject) -> Self {
        let User { id, email: to, first_name, time_zone, language, .. } = user;
        Self { user: id, to, first_name, time_zone, language, subject }
    }

    /// The same to another address.
    fn at(self, address: &Email) -> Self {
        Self { to: address.clone(), ..self }
    }
}
