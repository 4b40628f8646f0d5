//! What admins, and users themselves, do to accounts.

use faceofmind_runtime::legacy::Failure;
use secrecy::SecretString;

use super::{
    ClaimId, Email, Message, PasswordRefused, Read, Role, Status, User, UserId, UserRegistry, Write, to_the_end,
};
use faceofmind_model::event::EventContext;
use faceofmind_platform::otp::Purpose;

/// What is to be changed; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// 1 to 100 characters.
    pub first_name: Option<String>,
    /// 1 to 100 characters.
    pub last_name: Option<String>,
    /// IANA name.
    pub time_zone: Option<String>,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// By admins only.
    pub role: Option<Role>,
    /// By admins only, but for closing one's own account.
    pub status: Option<Status>,
    /// Refuse unless the account's role is `user`: admins are not closed by a click.
    pub only_users: bool,
}

impl AccountChange {
    /// Changes nothing but the status.
    pub fn of_status(status: Status, only_users: bool) -> Self {
        Self { status: Some(status), only_users, ..Self::default() }
    }
}

/// An admin to be created.
#[derive(Clone, Debug)]
pub struct NewAdmin {
    /// Not taken yet.
    pub email: Email,
    /// 1 to 100 characters.
    pub first_name: String,
    /// 1 to 100 characters.
    pub last_name: String,
}

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is none of that id.
    #[error("There is no such user.")]
    NotFound,
    /// Nobody could manage users any more.
    #[error("This is the last active admin: make another one first.")]
    LastAdmin,
    /// Its role is not `user`.
    #[error("Only an account with the role user can be changed in this way.")]
    OnlyUsers,
    /// Another account has that address.
    #[error("This e-mail address has an account already.")]
    Taken,
    /// The password breaks a rule.
    #[error(transparent)]
    Refused(#[from] PasswordRefused),
    /// Not done, and nothing written.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<faceofmind_db::StoreError> for ChangeError {
    fn from(error: faceofmind_db::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl UserRegistry {
    /// Changes an account. When it is active no longer, its log-ins end.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn change(&self, user: UserId, change: AccountChange, origin: EventContext) -> Result<User, ChangeError> {
        self.write(&user, |reply| Write::Change { user, change, origin, reply }).await
    }

    /// Removes a user and all that is theirs.
    ///
    /// # Errors
    /// [`ChangeError::NotFound`], [`ChangeError::LastAdmin`], [`ChangeError::Failed`].
    pub async fn delete(&self, user: UserId, origin: EventContext) -> Result<(), ChangeError> {
        self.remove(user, None, origin).await
    }

    /// Removes a user who has just proven the password (see `Logins::prove_password`), and all that is theirs.
    ///
    /// # Errors
    /// As [`UserRegistry::delete`]; [`ChangeError::Failed`] also when the user was changed meanwhile: the password is to be proven again.
    pub async fn erase(&self, proven: &User, origin: EventContext) -> Result<(), ChangeError> {
        self.remove(proven.id, Some(proven.revision), origin).await
    }

    async fn remove(&self, user: UserId, compared_at: Option<i64>, origin: EventContext) -> Result<(), ChangeError> {
        let registry = self.clone();
        to_the_end(async move {
            let wanted = |reply| Message::Read(Read::WantedAddress(user, reply));
            let wanted: Option<(ClaimId, Email)> =
                registry.shard(&user).ask(wanted).await.map_err(ChangeError::Failed)?;
            let removal = |reply| Write::Delete { user, compared_at, origin, reply };
            let email = registry.write(&user, removal).await?;
            for address in wanted.iter().map(|(_, address)| address).chain([&email]) {
                registry.forget(address).await;
            }
            registry.neighbours.mailer.forget(user).await;
            Ok(())
        })
        .await
    }

    /// What lies elsewhere of a user who is gone, under one of their addresses. What cannot be reached now goes by age, or with the next sweep.
    async fn forget(&self, email: &Email) {
        for purpose in [Purpose::Verification, Purpose::PasswordReset, Purpose::EmailChange] {
            self.forget_codes(purpose, email).await;
        }
    }

    /// Creates an active admin.
    ///
    /// # Errors
    /// [`ChangeError::Taken`], [`ChangeError::Refused`], [`ChangeError::Failed`].
    pub async fn create_admin(&self, new: NewAdmin, password: SecretString) -> Result<User, ChangeError> {
        self.settings.passwords.judge(&password, &new.email, [&new.first_name, &new.last_name])?;
        let hash = self.neighbours.hasher.hash(password).await?;
        self.write(&new.email.clone(), |reply| Write::CreateAdmin(new, hash, reply)).await
    }
}
