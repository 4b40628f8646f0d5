//! What a mail says and to whom, read when it is about to be sent.

use faceofmind_db::{ReadConn, StoreError};
use faceofmind_model::{ClaimId, FoldedNotices, MailReason, Status, User};

use super::AccountService;
use crate::accounts::{
    AccountError, GetMailContext, MailContext, MailTopic, pending_email_changes, pending_registrations,
    store::{self, Account},
};

impl AccountService {
    pub(in crate::accounts) async fn get_mail_context(
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
            | MailReason::AddressChanged { user, .. }
            | MailReason::FoldedNotices(FoldedNotices { user, .. }) => store::by_id(reader.connection(), *user).await?,
            MailReason::PasswordReset { email } => store::by_email(reader.connection(), email).await?,
        };
        let Some(Account { user, .. }) = account else { return Ok(None) };
        Ok(match &reason {
            MailReason::Registration { claim, .. } => {
                let found = pending_registrations::find(reader.connection(), user.id, *claim).await?;
                match found {
                    Some(claim) => Some(MailContext::about(claim, user)),
                    None => Self::unstored_registration_context(&mut reader, user).await?,
                }
            }
            MailReason::PasswordReset { .. } => Some(MailContext::to(user, MailTopic::Reset)),
            MailReason::PasswordChanged { .. } => Some(MailContext::to(user, MailTopic::PasswordChanged)),
            MailReason::NewDevice { login, .. } => Some(MailContext::to(user, MailTopic::NewDevice(*login))),
            MailReason::AddressClaim { claim, .. } => self.email_change_context(&mut reader, user, *claim).await?,
            MailReason::AddressChangeAsked { old, .. } => {
                Some(MailContext::to(user, MailTopic::AddressChangeAsked).at(old))
            }
            MailReason::AddressChanged { old, .. } => Some(MailContext::to(user, MailTopic::AddressChanged).at(old)),
            // The address of the account may have changed meanwhile.
            MailReason::FoldedNotices(notices) => {
                (user.email == notices.address).then(|| MailContext::to(user, MailTopic::Folded(notices.clone())))
            }
            MailReason::Reminder { reminder, .. } => {
                let is_active = user.status == Status::Active;
                is_active.then(|| MailContext::to(user, MailTopic::Reminder(*reminder)))
            }
        })
    }

    /// The notice of a registration that is not stored, because the address has others. Where it has none, the owner has entered a code
    /// meanwhile, and the registration was perhaps the owner's.
    async fn unstored_registration_context(
        reader: &mut ReadConn,
        user: User,
    ) -> Result<Option<MailContext>, StoreError> {
        let has_others = pending_registrations::newest(reader.connection(), user.id).await?.is_some();
        let is_notice = has_others && user.status != Status::Inactive;
        Ok(is_notice.then(|| MailContext::to(user, MailTopic::AlreadyRegistered { is_stored: false })))
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
