//! Registration, and verification of an address.

use faceofmind_db::{StoreError, Tx};
use faceofmind_model::{Email, MailReason, RequestContext, Status, User, event::UserEvent};
use faceofmind_platform::{
    caller, login_store,
    mail::{self, Language},
    otp::{OnMatch, Purpose, VerifiedCode},
    password_hasher::PasswordHash,
    rate_limit::{Acquire, RateLimitKey, Refund},
};

use super::{AccountService, code_entered};
use crate::accounts::{
    AccountError, PasswordPolicy, Register, ResendVerificationCode, VerifyEmail,
    pending_registrations::{self, NewRegistration},
    store::{self, Account},
};

impl AccountService {
    pub(in crate::accounts) async fn register(&self, new: Register) -> Result<(), AccountError> {
        PasswordPolicy::check(&new.password)?;
        let key = RateLimitKey { limit: self.settings.registrations, subject: new.context.rate_limit_key() };
        let reservation = self.deps.limiter.ask(Acquire(vec![key])).await?;
        let stored = self.hash_and_store(new).await;
        // To rate a weak password costs as much as to hash a strong one.
        if stored.is_err() && !matches!(stored, Err(AccountError::Policy(_))) {
            self.deps.limiter.tell(Refund(reservation));
        }
        stored
    }

    async fn hash_and_store(&self, new: Register) -> Result<(), AccountError> {
        let Register { email, password, first_name, last_name, context } = new;
        let (caller, names) = (caller::network(&context), [first_name.as_str(), last_name.as_str()]);
        let password = self.check_and_hash::<AccountError>(caller, password, &email, names).await?;
        let language = Language::choose(&context.languages);
        let registration = NewRegistration {
            email: &email,
            first_name: &first_name,
            last_name: &last_name,
            password: &password,
            language,
            network: &context.rate_limit_key(),
        };
        let mut tx = self.deps.db.begin().await?;
        let row =
            pending_registrations::upsert(&mut tx, &registration, self.deps.clock.now(), self.settings.code_lifetime)
                .await?;
        if row.is_new {
            self.record(&mut tx, &context.events, UserEvent::Registered { user_id: row.user }).await?;
        } else {
            store::dummy_write(&mut tx, row.user).await?;
        }
        let reason = MailReason::Registration { user: row.user, claim: row.claim };
        self.queue_mail(&mut tx, &reason, &context).await?;
        Ok(self.commit(tx, row.user).await?)
    }

    pub(in crate::accounts) async fn verify_email(&self, message: VerifyEmail) -> Result<User, AccountError> {
        let VerifyEmail { email, code, context } = message;
        let guesser = self.guesser(&email, &context).await?;
        let entered = code_entered(Purpose::Verification, &email, &code, (&context, guesser), OnMatch::Consume);
        let code = self.deps.otp.ask(entered).await?;
        let verified = self.verify(&email, &code, &context).await;
        match &verified {
            Ok(_) => self.revoke_codes(&[Purpose::Verification], &email).await,
            Err(AccountError::InvalidCode) => {}
            Err(_) => self.restore_code(&code).await,
        }
        verified
    }

    async fn verify(&self, email: &Email, code: &VerifiedCode, context: &RequestContext) -> Result<User, AccountError> {
        let claim = code.claim().ok_or(AccountError::InvalidCode)?;
        let mut tx = self.deps.db.begin().await?;
        let found = store::by_email(tx.connection(), email).await?.ok_or(AccountError::InvalidCode)?;
        let mut account = store::lock(&mut tx, found.user.id).await?.ok_or(AccountError::InvalidCode)?;
        let user = account.user.id;
        let registration = pending_registrations::find(tx.connection(), user, claim).await?;
        let registration = registration.ok_or(AccountError::InvalidCode)?;
        if account.user.status != Status::Inactive {
            return Err(AccountError::InvalidCode);
        }
        account.password = Some(registration.password());
        account.user.first_name = registration.first_name;
        account.user.last_name = registration.last_name;
        account.user.language = registration.language.or(account.user.language.take());
        self.activate(&mut tx, &mut account).await?;
        login_store::remember_network(&mut tx, user, &context.rate_limit_key(), self.deps.clock.now()).await?;
        self.record(&mut tx, &context.events, UserEvent::Verified { user_id: user }).await?;
        self.commit(tx, user).await?;
        Ok(account.user)
    }

    /// Activates an account whose address is verified, and ends its pending registrations.
    pub(super) async fn activate(&self, tx: &mut Tx, account: &mut Account) -> Result<(), StoreError> {
        account.user.status = Status::Active;
        store::save(tx, account).await?;
        store::mark_verified(tx, account.user.id, self.deps.clock.now()).await?;
        pending_registrations::delete_all(tx, account.user.id).await
    }

    /// A registration of an account that is not inactive gets the same transaction, so that its registrant does not learn of the account.
    pub(in crate::accounts) async fn resend_verification_code(
        &self,
        message: ResendVerificationCode,
    ) -> Result<(), AccountError> {
        let ResendVerificationCode { user, revision, registration, context } = message;
        let mut tx = self.deps.db.begin().await?;
        let account = store::lock(&mut tx, user).await?.filter(|account| account.user.revision == revision);
        let Some(account) = account else { return Ok(()) };
        let newest = pending_registrations::newest_or_own(&mut tx, &account, self.deps.clock.now()).await?;
        let Some(claim) = newest.filter(|newest| registration.is_none_or(|typed| typed == *newest)) else {
            return Ok(());
        };
        self.queue_mail(&mut tx, &MailReason::Registration { user, claim }, &context).await?;
        tx.commit().await?;
        self.deps.mailer.tell(mail::Poll);
        Ok(())
    }

    /// Creates nothing unless the address is new.
    pub(super) async fn insert_admin(
        &self,
        tx: &mut Tx,
        (email, first_name, last_name): (&Email, &str, &str),
        password: &PasswordHash,
    ) -> Result<Account, AccountError> {
        let new = NewRegistration { email, first_name, last_name, password, language: None, network: "" };
        let row = pending_registrations::upsert(tx, &new, self.deps.clock.now(), self.settings.code_lifetime).await?;
        if !row.is_new {
            return Err(AccountError::EmailTaken);
        }
        store::lock(tx, row.user).await?.ok_or(AccountError::EmailTaken)
    }
}
