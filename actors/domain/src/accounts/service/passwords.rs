//! New passwords.

use faceofmind_db::{StoreError, Tx};
use faceofmind_model::{Email, LoginId, MailReason, RequestContext, Status, User, UserId, event::UserEvent};
use faceofmind_platform::{
    caller, login_store, mail,
    otp::{ConsumeCode, OnMatch, Purpose, VerifiedCode},
    password_hasher::{HashNewPassword, NewPasswordError, PasswordHash},
};
use faceofmind_runtime::{AskError, Caller};
use secrecy::SecretString;

use super::{AccountService, code_entered, ensure_revision};
use crate::accounts::{
    AccountError, ChangePassword, PasswordError, PasswordPolicy, PolicyViolation, RenewPasswordHash,
    RequestPasswordReset, ResetPassword, has_revision, pending_email_changes, store,
};

impl AccountService {
    pub(in crate::accounts) async fn request_password_reset(
        &self,
        RequestPasswordReset { email, context }: RequestPasswordReset,
    ) -> Result<(), AccountError> {
        let mut tx = self.deps.db.begin().await?;
        self.queue_mail(&mut tx, &MailReason::PasswordReset { email }, &context).await?;
        tx.commit().await?;
        self.deps.mailer.tell(mail::Poll);
        Ok(())
    }

    pub(in crate::accounts) async fn reset_password(&self, message: ResetPassword) -> Result<(), PasswordError> {
        let ResetPassword { email, code, new_password, context } = message;
        let guesser = self.guesser(&email, &context).await?;
        let entered = code_entered(Purpose::PasswordReset, &email, &code, (&context, guesser), OnMatch::Keep);
        let code = self.deps.otp.ask(entered).await?;
        let account = store::by_email(self.deps.db.read_conn().await?.connection(), &email).await?;
        let user = account.ok_or(PasswordError::InvalidCode)?.user;
        let hash = self
            .check_and_hash::<PasswordError>(
                caller::network(&context),
                new_password,
                &user.email,
                [&user.first_name, &user.last_name],
            )
            .await?;
        if !self.deps.otp.ask(ConsumeCode(code.clone())).await? {
            return Err(PasswordError::InvalidCode);
        }
        let written = self.set_password_by_code(&user, hash, &context).await;
        match &written {
            Ok(()) => self.revoke_codes(&[Purpose::PasswordReset], &email).await,
            Err(_) => self.restore_if_unwritten(&code, &user).await,
        }
        written
    }

    /// Restores the code after a failed write. A failed commit may have been written all the same, and a code that has set a password must
    /// not set another: the code stays consumed when the user has changed, or when that cannot be read.
    async fn restore_if_unwritten(&self, code: &VerifiedCode, read: &User) {
        match self.is_unchanged(read).await {
            Ok(true) => self.restore_code(code).await,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, user = %read.id, "the code stays consumed: it may have set a password")
            }
        }
    }

    async fn is_unchanged(&self, read: &User) -> Result<bool, StoreError> {
        has_revision(&mut self.deps.db.begin().await?, read.id, read.revision).await
    }

    /// A code proves the address, so an inactive account becomes active. An account that has changed its address has no code there.
    async fn set_password_by_code(
        &self,
        read: &User,
        hash: PasswordHash,
        context: &RequestContext,
    ) -> Result<(), PasswordError> {
        let user = read.id;
        let mut tx = self.deps.db.begin().await?;
        let account = store::lock(&mut tx, user).await?.filter(|account| account.user.email == read.email);
        let mut account = account.ok_or(PasswordError::InvalidCode)?;
        account.password = Some(hash);
        if account.user.status == Status::Inactive {
            self.activate(&mut tx, &mut account).await?;
            self.record(&mut tx, &context.events, UserEvent::Verified { user_id: user }).await?;
        } else {
            store::save(&mut tx, &mut account).await?;
            store::mark_verified(&mut tx, user, self.deps.clock.now()).await?;
        }
        login_store::remember_network(&mut tx, user, &context.rate_limit_key(), self.deps.clock.now()).await?;
        self.finish_password_change(tx, user, None, context).await
    }

    pub(in crate::accounts) async fn change_password(&self, message: ChangePassword) -> Result<(), PasswordError> {
        let ChangePassword { verified, new_password, keep, context } = message;
        let hash = self
            .check_and_hash::<PasswordError>(
                caller::user(verified.id),
                new_password,
                &verified.email,
                [&verified.first_name, &verified.last_name],
            )
            .await?;
        let mut tx = self.deps.db.begin().await?;
        let mut account = store::lock(&mut tx, verified.id).await?.ok_or(StoreError::Conflict)?;
        ensure_revision(&account.user, verified.revision)?;
        account.password = Some(hash);
        store::save(&mut tx, &mut account).await?;
        self.finish_password_change(tx, verified.id, Some(keep), &context).await
    }

    /// Ends the other logins. A pending e-mail change ends too: a new password stops an intruder who requested it with the old one.
    async fn finish_password_change(
        &self,
        mut tx: Tx,
        user: UserId,
        keep: Option<LoginId>,
        context: &RequestContext,
    ) -> Result<(), PasswordError> {
        pending_email_changes::delete(&mut tx, user).await?;
        login_store::end_all(&mut tx, user, keep, self.deps.clock.now()).await?;
        self.record(&mut tx, &context.events, UserEvent::PasswordChanged { user_id: user }).await?;
        self.queue_mail(&mut tx, &MailReason::PasswordChanged { user }, context).await?;
        Ok(self.commit(tx, user).await?)
    }

    /// Checks a new password against the policy and hashes it. The password hasher rates its strength, because that costs like a hash.
    pub(super) async fn check_and_hash<E>(
        &self,
        caller: Caller,
        password: SecretString,
        email: &Email,
        names: [&str; 2],
    ) -> Result<PasswordHash, E>
    where
        E: From<PolicyViolation> + From<AskError>,
    {
        PasswordPolicy::check(&password)?;
        let local_part = email.as_str().split('@').next().unwrap_or_default();
        let own_words = [email.as_str(), local_part, names[0], names[1], "faceofmind"].map(str::to_owned).to_vec();
        let min_score = self.settings.passwords.min_score;
        let hashed = self.deps.hasher.ask(HashNewPassword { caller, password, min_score, own_words }).await;
        hashed.map_err(|error| match error {
            NewPasswordError::TooWeak => PolicyViolation::TooWeak.into(),
            NewPasswordError::Ask(error) => error.into(),
        })
    }

    pub(in crate::accounts) async fn renew_password_hash(
        &self,
        RenewPasswordHash { user, old, new }: RenewPasswordHash,
    ) -> Result<(), AccountError> {
        let mut tx = self.deps.db.begin().await?;
        store::renew_hash(&mut tx, user, &old, &new).await?;
        Ok(tx.commit().await?)
    }
}
