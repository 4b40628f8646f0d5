//! New passwords.

use faceofmind_model::event::UserEvent;
use faceofmind_platform::login_store;
use faceofmind_runtime::legacy::Failure;

use super::Ledger;
use crate::accounts::{PasswordError, address_changes, store};
use faceofmind_model::login::LoginId;
use faceofmind_model::user::{Email, Status, UserId};
use faceofmind_model::{MailReason, RequestContext};
use faceofmind_platform::password_hasher::PasswordHash;

/// A new password that is hashed.
pub(in crate::accounts) struct NewPassword {
    pub(in crate::accounts) user: UserId,
    pub(in crate::accounts) hash: PasswordHash,
    pub(in crate::accounts) proof: Proof,
    pub(in crate::accounts) client: RequestContext,
}

/// Why it may be set.
pub(in crate::accounts) enum Proof {
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
    pub(in crate::accounts) async fn set_password(&self, new: NewPassword) -> Result<(), PasswordError> {
        let NewPassword { user, hash, proof, client } = new;
        let mut tx = self.db.begin().await?;
        let mut account = store::lock(&mut tx, user).await?.ok_or(PasswordError::BadCode)?;
        account.password = Some(hash);
        let keep = match proof {
            Proof::Code { address } if address != account.user.email => return Err(PasswordError::BadCode),
            Proof::Code { .. } if account.user.status == Status::Inactive => {
                self.activate(&mut tx, &mut account).await?;
                self.record(&mut tx, &client.events, UserEvent::Verified { user_id: user }).await?;
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
        login_store::end_all(&mut tx, user, keep, self.clock.now()).await?;
        self.record(&mut tx, &client.events, UserEvent::PasswordChanged { user_id: user }).await?;
        self.queue(&mut tx, &MailReason::PasswordChanged { user }, &client.rate_limit_key()).await?;
        Ok(self.commit(tx, user).await?)
    }
}
