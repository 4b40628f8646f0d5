//! What a mail says and to whom. Decided when it is about to be sent; until then a mail job holds only its reason.

use faceofmind_base::Timestamp;
use faceofmind_db::{ReadConn, StoreError};
use faceofmind_model::{ClaimId, Email, LoginId, MailReason, ReminderId, Status, User, UserId};

use super::{
    AccountError, GetMailContext, pending_email_changes,
    pending_registrations::{self, PendingRegistration},
    service::AccountService,
    store::{self, Account},
};

/// The recipient and the topic of a mail.
#[derive(Clone, Debug)]
pub struct MailContext {
    /// The user whose account the mail is about.
    pub user: UserId,
    pub to: Email,
    pub first_name: String,
    /// IANA name, if set.
    pub time_zone: Option<String>,
    /// BCP 47 tag, if known.
    pub language: Option<String>,
    pub topic: MailTopic,
}

/// What a mail is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailTopic {
    /// A registration of this address; a code verifies it.
    Claim {
        claim: ClaimId,
        /// First and last name as registered.
        name: String,
        /// When it was registered.
        at: Timestamp,
    },
    /// A registration of an address that has an account.
    AlreadyRegistered,
    /// A requested password reset; a code allows it.
    Reset,
    PasswordChanged,
    NewDevice(LoginId),
    Reminder(ReminderId),
    /// A requested change to this address; a code verifies it.
    AddressClaim {
        claim: ClaimId,
        /// The user's first and last name.
        name: String,
    },
    /// A requested change to an address that has an account.
    AddressTaken,
    /// A requested change, for the old address.
    AddressChangeAsked,
    AddressChanged,
}

impl AccountService {
    pub(super) async fn get_mail_context(
        &self,
        GetMailContext { reason }: GetMailContext,
    ) -> Result<Option<MailContext>, AccountError> {
        let mut reader = self.deps.db.read_conn().await?;
        let account = match &reason {
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
        Ok(match &reason {
            MailReason::Registration { claim, .. } => {
                let claim = pending_registrations::find(reader.connection(), user.id, *claim).await?;
                claim.map(|claim| MailContext::about(claim, user))
            }
            MailReason::PasswordReset { .. } => Some(MailContext::to(user, MailTopic::Reset)),
            MailReason::PasswordChanged { .. } => Some(MailContext::to(user, MailTopic::PasswordChanged)),
            MailReason::NewDevice { login, .. } => Some(MailContext::to(user, MailTopic::NewDevice(*login))),
            MailReason::AddressClaim { claim, .. } => self.email_change_context(&mut reader, user, *claim).await?,
            MailReason::AddressChangeAsked { old, .. } => {
                Some(MailContext::to(user, MailTopic::AddressChangeAsked).at(old))
            }
            MailReason::AddressChanged { old, .. } => Some(MailContext::to(user, MailTopic::AddressChanged).at(old)),
            MailReason::Reminder { reminder, .. } => {
                let is_active = user.status == Status::Active;
                is_active.then(|| MailContext::to(user, MailTopic::Reminder(*reminder)))
            }
        })
    }

    /// The mail to the requested address, if the request is still pending. If the address has an account, its owner gets a notice and no
    /// code.
    async fn email_change_context(
        &self,
        reader: &mut ReadConn,
        user: User,
        claim: ClaimId,
    ) -> Result<Option<MailContext>, StoreError> {
        let pending = pending_email_changes::pending(reader.connection(), user.id, self.deps.clock.now()).await?;
        let Some((_, address)) = pending.filter(|(pending, _)| *pending == claim) else { return Ok(None) };
        if let Some(Account { user: holder, .. }) = store::by_email(reader.connection(), &address).await?
            && !store::is_never_verified(reader.connection(), holder.id).await?
        {
            return Ok(Some(MailContext::to(holder, MailTopic::AddressTaken)));
        }
        let name = format!("{} {}", user.first_name, user.last_name);
        Ok(Some(MailContext::to(user, MailTopic::AddressClaim { claim, name }).at(&address)))
    }
}

impl MailContext {
    /// A pending registration can be verified while the account is inactive. Its mail is in the language of the client that registered.
    fn about(claim: PendingRegistration, user: User) -> Self {
        if user.status != Status::Inactive {
            return Self::to(user, MailTopic::AlreadyRegistered);
        }
        let name = format!("{} {}", claim.first_name, claim.last_name);
        let language = claim.language.or_else(|| user.language.clone());
        Self { language, ..Self::to(user, MailTopic::Claim { claim: claim.id, name, at: claim.created_at }) }
    }

    fn to(user: User, topic: MailTopic) -> Self {
        let User { id, email: to, first_name, time_zone, language, .. } = user;
        Self { user: id, to, first_name, time_zone, language, topic }
    }

    /// Sends the mail to another address of the user.
    fn at(self, address: &Email) -> Self {
        Self { to: address.clone(), ..self }
    }
}
