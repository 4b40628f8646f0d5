//! Resetting and changing a password.

use faceofmind_runtime::legacy::Failure;
use secrecy::SecretString;

use super::{
    CodeFor, Email, PasswordError, User, UserRegistry, Write,
    ledger::{NewPassword, Proof},
    to_the_end,
};
use faceofmind_model::RequestContext;
use faceofmind_model::login::LoginId;
use faceofmind_platform::otp;
use faceofmind_platform::otp::{Guess, OtpError, Purpose};
use faceofmind_platform::password_hasher::PasswordHash;

impl From<OtpError> for PasswordError {
    fn from(error: OtpError) -> Self {
        match error {
            OtpError::Wrong => Self::BadCode,
            OtpError::TooMany { retry_after } => Self::TooMany { retry_after },
            OtpError::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl UserRegistry {
    /// Has a code mailed, if the address has an account; whether it has is not told, nor found out before the mail is sent.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn request_reset(&self, email: &Email, client: &RequestContext) -> Result<(), Failure> {
        let (wanted, client) = (email.clone(), client.clone());
        self.write(email, |reply| Write::SendCode { occasion: CodeFor::Reset(wanted), client, reply }).await
    }

    /// Sets a new password for whoever holds a good code: first the code, then the password's rules, and only when the password is
    /// written the code is used up. Every log-in of the user ends.
    ///
    /// # Errors
    /// [`PasswordError`]; the code stays good unless it was used up by another, or nobody can say that the password was not written.
    pub async fn reset(
        &self,
        email: &Email,
        code: &SecretString,
        password: SecretString,
        client: &RequestContext,
    ) -> Result<(), PasswordError> {
        let guess = Guess {
            purpose: Purpose::PasswordReset,
            address: email.clone(),
            code: code.clone(),
            client: client.rate_limit_key(),
        };
        let proof = self.neighbours.otp.check(guess).await?;
        let user = self.credentials(email).await?.ok_or(PasswordError::BadCode)?.user;
        let hash = self.judge_and_hash(&user, password).await?;
        let (registry, client) = (self.clone(), client.clone());
        to_the_end(async move { registry.consume_and_write(proof, user, hash, client).await }).await
    }

    async fn consume_and_write(
        &self,
        proof: otp::Proof,
        user: User,
        hash: PasswordHash,
        client: RequestContext,
    ) -> Result<(), PasswordError> {
        if !self.neighbours.otp.consume(&proof).await? {
            return Err(PasswordError::BadCode);
        }
        let reset = Proof::Code { address: user.email.clone() };
        let new = NewPassword { user: user.id, hash, proof: reset, client };
        let written = self.write(&user.id, |reply| Write::SetPassword(new, reply)).await;
        match &written {
            Ok(()) => self.forget_codes(Purpose::PasswordReset, &user.email).await,
            Err(_) => self.restore_if_unwritten(&proof, &user).await,
        }
        written
    }

    /// That no answer came does not say that nothing was written: a code that has set a password must not set another.
    async fn restore_if_unwritten(&self, proof: &otp::Proof, read: &User) {
        let (user, revision) = (read.id, read.revision);
        match self.write(&user, |reply| Write::Compare { user, revision, reply }).await {
            Ok(true) => self.restore_code(proof).await,
            Ok(false) => {}
            Err(failure) => tracing::warn!(%failure, %user, "a code stays used up: it may have set a password"),
        }
    }

    /// Sets a new password for a user who has just proven the current one (see `Logins::prove_password`); their other log-ins end.
    ///
    /// # Errors
    /// [`PasswordError::Refused`]; [`PasswordError::Failed`], also when the user was changed meanwhile: the password is to be proven again.
    pub async fn change_password(
        &self,
        proven: &User,
        password: SecretString,
        keep: LoginId,
        client: &RequestContext,
    ) -> Result<(), PasswordError> {
        let hash = self.judge_and_hash(proven, password).await?;
        let proof = Proof::Password { compared_at: proven.revision, keep };
        let new = NewPassword { user: proven.id, hash, proof, client: client.clone() };
        self.write(&proven.id, |reply| Write::SetPassword(new, reply)).await
    }

    async fn judge_and_hash(&self, user: &User, password: SecretString) -> Result<PasswordHash, PasswordError> {
        self.settings.passwords.judge(&password, &user.email, [&user.first_name, &user.last_name])?;
        let hashed: Result<PasswordHash, Failure> = self.neighbours.hasher.hash(password).await;
        Ok(hashed?)
    }
}
