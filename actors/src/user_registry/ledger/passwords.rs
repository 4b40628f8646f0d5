//! New passwords.

use faceofmind_kit::Failure;

use super::Ledger;
use crate::{
    client::Client,
    hasher::PasswordHash,
    logins::{self, LoginId},
    mailer::Occasion,
    publisher::Event,
    user_registry::{Email, PasswordError, Status, UserId, address_changes, store},
};

/// A new password that is hashed.
pub(in crate::user_registry) struct NewPassword {
    pub(in crate::user_registry) user: UserId,
    pub(in crate::user_registry) hash: PasswordHash,
    pub(in crate::user_registry) proof: Proof,
    pub(in crate::user_registry) client: Client,
}

/// Why it may be set.
pub(in crate::user_registry) enum Proof {
    /// A code was typed that was mailed to this address, the user's: an inactive account becomes active.
    Code {
        /// Whoever has moved to another address meanwhile has no code there.
        address: Email,
    },
    /// The current password was typed.
    Password {
        /// The revision of the user whose password it was.
        compared_at: i64,
        /// The log-in that goes on.
        keep: LoginId,
    },
}

impl Ledger {
    /// Whoever asked to move with the old password does not move: that is how an owner stops somebody else.
    pub(in crate::user_registry) async fn set_password(&self, new: NewPassword) -> Result<(), PasswordError> {
        let NewPassword { user, hash, proof, client } = new;
        let mut tx = self.db.begin().await?;
        let mut account = store::lock(&mut tx, user).await?.ok_or(PasswordError::BadCode)?;
        account.password = Some(hash);
        let keep = match proof {
            Proof::Code { address } if address != account.user.email => return Err(PasswordError::BadCode),
            Proof::Code { .. } if account.user.status == Status::Inactive => {
                self.activate(&mut tx, &mut account).await?;
                self.record(&mut tx, &client.origin, Event::UserVerified { user_id: user }).await?;
                None
            }
            Proof::Code { .. } => {
                store::save(&mut tx, &mut account).await?;
                store::mark_proven(&mut tx, user, self.clock.now()).await?;
                None
            }
            Proof::Password { compared_at, .. } if compared_at != account.user.revision => {
                return Err(Failure::Busy("registry").into());
            }
            Proof::Password { keep, .. } => {
                store::save(&mut tx, &mut account).await?;
                Some(keep)
            }
        };
        address_changes::end(&mut tx, user).await?;
        logins::end_all(&mut tx, user, keep, self.clock.now()).await?;
        self.record(&mut tx, &client.origin, Event::UserPasswordChanged { user_id: user }).await?;
        self.queue(&mut tx, &Occasion::PasswordChanged { user }, &client.counted_as()).await?;
        Ok(self.commit(tx, user).await?)
    }
}
