//! Changes of the e-mail address. The old address holds until the code that was sent to the new one is entered.

use faceofmind_db::{StoreError, Tx};
use faceofmind_model::{
    ClaimId, Email, MailReason, User,
    event::{EventContext, Initiator, UserEvent},
};
use faceofmind_platform::{
    login_store, mail,
    otp::{ConsumeCode, Guesser, OnMatch, Purpose, VerifiedCode},
    rate_limit::{Acquire, RateLimitKey, Refund},
};

use super::{AccountService, code_entered, ensure_revision};
use crate::accounts::{
    AccountError, ConfirmEmailChange, RequestEmailChange, pending_email_changes, pending_registrations,
    store::{self, Account},
};

/// Another client may register the address between the check and the change.
const MAX_ATTEMPTS: usize = 3;

impl AccountService {
    pub(in crate::accounts) async fn request_email_change(
        &self,
        request: RequestEmailChange,
    ) -> Result<(), AccountError> {
        if request.new_email == request.verified.email {
            return Err(AccountError::EmailUnchanged);
        }
        let key = RateLimitKey { limit: self.settings.registrations, subject: request.context.rate_limit_key() };
        let reservation = self.deps.limiter.ask(Acquire(vec![key])).await?;
        let stored = self.store_request(request).await;
        if stored.is_err() {
            self.deps.limiter.tell(Refund(reservation));
        }
        stored
    }

    /// Whether the new address has an account is looked up only when the mail is about to be sent.
    async fn store_request(&self, request: RequestEmailChange) -> Result<(), AccountError> {
        let RequestEmailChange { verified, new_email, context } = request;
        let user = verified.id;
        let mut tx = self.deps.db.begin().await?;
        let account = store::lock(&mut tx, user).await?.ok_or(StoreError::Conflict)?;
        ensure_revision(&account.user, verified.revision)?;
        let claim = pending_email_changes::upsert(&mut tx, user, &new_email, self.deps.clock.now()).await?;
        self.queue_mail(&mut tx, &MailReason::AddressClaim { user, claim }, &context).await?;
        let notice = MailReason::AddressChangeAsked { user, old: account.user.email };
        self.queue_mail(&mut tx, &notice, &context).await?;
        tx.commit().await?;
        self.deps.mailer.tell(mail::Poll);
        Ok(())
    }

    pub(in crate::accounts) async fn confirm_email_change(
        &self,
        message: ConfirmEmailChange,
    ) -> Result<User, AccountError> {
        let (claim, address) = {
            let mut reader = self.deps.db.read_conn().await?;
            let now = self.deps.clock.now();
            let pending = pending_email_changes::pending(reader.connection(), message.user, now).await?;
            pending.ok_or(AccountError::InvalidCode)?
        };
        let (code, context) = (&message.code, &message.context);
        let by = (context, Guesser::User(message.user));
        let entered = code_entered(Purpose::EmailChange, &address, code, by, OnMatch::Keep);
        let code = self.deps.otp.ask(entered).await?;
        match self.change_email(&message, &code, claim, &address).await {
            Ok((user, old)) => {
                self.consume_code(code).await;
                for address in [&old, &user.email] {
                    self.revoke_codes(&[Purpose::Verification, Purpose::PasswordReset], address).await;
                }
                Ok(user)
            }
            Err(AccountError::EmailTaken) => {
                self.consume_code(code).await;
                Err(AccountError::EmailTaken)
            }
            // Nothing was written; or another user, who requested the same address, may still enter the code.
            Err(error) => Err(error),
        }
    }

    /// Consumes the code only when it has served, so that no failure of ours uses it up. The transaction deletes the pending change, so the code
    /// serves once also where this fails.
    async fn consume_code(&self, code: VerifiedCode) {
        if let Err(error) = self.deps.otp.ask(ConsumeCode(code)).await {
            tracing::warn!(%error, "failed to consume a code that has served; it can serve nothing else");
        }
    }

    /// Returns the user, and the address before the change.
    async fn change_email(
        &self,
        message: &ConfirmEmailChange,
        code: &VerifiedCode,
        claim: ClaimId,
        address: &Email,
    ) -> Result<(User, Email), AccountError> {
        if code.claim() != Some(claim) {
            return Err(AccountError::InvalidCode);
        }
        for _ in 0..MAX_ATTEMPTS {
            if let Some(changed) = self.try_change_email(message, claim, address).await? {
                return Ok(changed);
            }
        }
        Err(AccountError::EmailTaken)
    }

    /// Returns `None` when the address was registered in between.
    async fn try_change_email(
        &self,
        message: &ConfirmEmailChange,
        claim: ClaimId,
        address: &Email,
    ) -> Result<Option<(User, Email)>, AccountError> {
        let ConfirmEmailChange { user, keep, context, .. } = message;
        let now = self.deps.clock.now();
        let mut tx = self.deps.db.begin().await?;
        store::lock_address(&mut tx, address).await?;
        let mut account = store::lock(&mut tx, *user).await?.ok_or(AccountError::InvalidCode)?;
        let pending = pending_email_changes::pending(tx.connection(), *user, now).await?;
        if pending.is_none_or(|(pending, _)| pending != claim) {
            return Err(AccountError::InvalidCode);
        }
        self.evict_unverified_holder(&mut tx, address).await?;
        if !store::set_address(&mut tx, *user, address).await? {
            return Ok(None);
        }
        let old = std::mem::replace(&mut account.user.email, address.clone());
        mail::delete_password_resets(&mut tx, &old).await?;
        self.finish_email_change(&mut tx, &mut account).await?;
        login_store::end_all(&mut tx, *user, Some(*keep), now).await?;
        self.record(&mut tx, &context.events, UserEvent::EmailChanged { user_id: *user }).await?;
        let notice = MailReason::AddressChanged { user: *user, old: old.clone() };
        self.queue_mail(&mut tx, &notice, context).await?;
        self.commit(tx, *user).await?;
        Ok(Some((account.user, old)))
    }

    /// The new address is verified. Pending registrations of the old one no longer concern the account.
    async fn finish_email_change(&self, tx: &mut Tx, account: &mut Account) -> Result<(), StoreError> {
        store::save(tx, account).await?;
        store::mark_verified(tx, account.user.id, self.deps.clock.now()).await?;
        pending_registrations::delete_all(tx, account.user.id).await?;
        pending_email_changes::delete(tx, account.user.id).await
    }

    /// Erases an account that holds the address without ever having verified it.
    async fn evict_unverified_holder(&self, tx: &mut Tx, address: &Email) -> Result<(), AccountError> {
        let Some(holder) = store::by_email(tx.connection(), address).await? else { return Ok(()) };
        let id = holder.user.id;
        // Checked before the lock is taken, so that two users who request each other's address do not deadlock.
        if !store::is_never_verified(tx.connection(), id).await? {
            return Err(AccountError::EmailTaken);
        }
        let Some(holder) = store::lock_for_delete(tx, id).await? else { return Ok(()) };
        if !store::is_never_verified(tx.connection(), id).await? {
            return Err(AccountError::EmailTaken);
        }
        // The event names the system as its initiator, so that it does not reveal which account took the address.
        self.erase(tx, &holder.user, &EventContext::new(Initiator::System)).await
    }
}
