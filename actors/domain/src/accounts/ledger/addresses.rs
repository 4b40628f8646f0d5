//! Moving an account to another address.

use faceofmind_db::Tx;
use faceofmind_platform::login_store;
use faceofmind_runtime::legacy::Failure;

use super::Ledger;
use crate::accounts::store::Account;
use crate::accounts::{AddressError, address_changes, claims, store};
use faceofmind_model::event::{EventContext, Initiator, UserEvent};
use faceofmind_model::login::LoginId;
use faceofmind_model::user::{ClaimId, Email, User, UserId};
use faceofmind_model::{MailReason, RequestContext};
use faceofmind_platform::mail;

/// Where a user wants to move to who has proven the password.
pub(in crate::accounts) struct NewAddress {
    pub(in crate::accounts) user: UserId,
    /// The revision of the user whose password it was.
    pub(in crate::accounts) compared_at: i64,
    pub(in crate::accounts) address: Email,
    pub(in crate::accounts) client: RequestContext,
}

/// An address that a user wants to move to and whose code they have typed.
pub(in crate::accounts) struct ProvenAddress {
    pub(in crate::accounts) user: UserId,
    pub(in crate::accounts) claim: ClaimId,
    pub(in crate::accounts) address: Email,
    /// The log-in that goes on.
    pub(in crate::accounts) keep: LoginId,
    pub(in crate::accounts) client: RequestContext,
}

/// The user where they are now, and where they were.
pub(in crate::accounts) type Moved = (User, Email);

/// Somebody may register the address between the look and the move, so many times.
const LOOKS: usize = 3;

impl Ledger {
    pub(in crate::accounts) async fn wanted_address(&self, user: UserId) -> Result<Option<(ClaimId, Email)>, Failure> {
        address_changes::wanted(self.db.read_conn().await?.connection(), user, self.clock.now()).await
    }

    /// Who has the new address, if anybody, is not looked at before the mail is written.
    pub(in crate::accounts) async fn request_address(&self, new: NewAddress) -> Result<(), Failure> {
        let NewAddress { user, compared_at, address, client } = new;
        let mut tx = self.db.begin().await?;
        let account = store::lock(&mut tx, user).await?.filter(|account| account.user.revision == compared_at);
        let account = account.ok_or(Failure::Busy("registry"))?;
        let claim = address_changes::want(&mut tx, user, &address, self.clock.now()).await?;
        self.queue(&mut tx, &MailReason::AddressClaim { user, claim }, &client.rate_limit_key()).await?;
        let notice = MailReason::AddressChangeAsked { user, old: account.user.email };
        self.queue(&mut tx, &notice, &client.rate_limit_key()).await?;
        tx.commit().await?;
        self.mailer.wake();
        Ok(())
    }

    pub(in crate::accounts) async fn move_account(&self, proven: ProvenAddress) -> Result<Moved, AddressError> {
        for _ in 0..LOOKS {
            if let Some(moved) = self.try_to_move(&proven).await? {
                return Ok(moved);
            }
        }
        Err(AddressError::Taken)
    }

    /// `None` where somebody registers the address meanwhile: it is to be looked at again.
    async fn try_to_move(&self, proven: &ProvenAddress) -> Result<Option<Moved>, AddressError> {
        let ProvenAddress { user, claim, address, keep, client } = proven;
        let mut tx = self.db.begin().await?;
        let mut account = store::lock(&mut tx, *user).await?.ok_or(AddressError::BadCode)?;
        let wanted = address_changes::wanted(tx.connection(), *user, self.clock.now()).await?;
        if wanted.is_none_or(|(wanted, _)| wanted != *claim) {
            return Err(AddressError::BadCode);
        }
        let vacated = self.vacate(&mut tx, address).await?;
        if !store::set_address(&mut tx, *user, address).await? {
            return Ok(None);
        }
        let old = std::mem::replace(&mut account.user.email, address.clone());
        mail::drop_resets(&mut tx, &old).await?;
        self.settle_in(&mut tx, &mut account).await?;
        login_store::end_all(&mut tx, *user, Some(*keep), self.clock.now()).await?;
        self.record(&mut tx, &client.events, UserEvent::EmailChanged { user_id: *user }).await?;
        let notice = MailReason::AddressChanged { user: *user, old: old.clone() };
        self.queue(&mut tx, &notice, &client.rate_limit_key()).await?;
        self.commit(tx, *user).await?;
        if vacated {
            self.rewrite.notify_one();
        }
        Ok(Some((account.user, old)))
    }

    /// The address is proven. Whatever strangers claimed of the old one concerns this account no more.
    async fn settle_in(&self, tx: &mut Tx, account: &mut Account) -> Result<(), Failure> {
        store::save(tx, account).await?;
        store::mark_proven(tx, account.user.id, self.clock.now()).await?;
        claims::end_all(tx, account.user.id).await?;
        address_changes::end(tx, account.user.id).await
    }

    /// Whoever proves an address has it before those who only said that it is theirs: an account that nobody ever verified
    /// goes. Whether one did.
    async fn vacate(&self, tx: &mut Tx, address: &Email) -> Result<bool, AddressError> {
        let Some(holder) = store::by_email(tx.connection(), address).await? else { return Ok(false) };
        let id = holder.user.id;
        // Looked at before it is locked: of two who would have each other's address none waits for the other.
        if !store::is_unproven(tx.connection(), id).await? {
            return Err(AddressError::Taken);
        }
        let Some(holder) = store::lock_for_removal(tx, id).await? else { return Ok(false) };
        if !store::is_unproven(tx.connection(), id).await? {
            return Err(AddressError::Taken);
        }
        // Nobody shall read in the event whose account took its place.
        self.erase(tx, &holder.user, &EventContext::new(Initiator::System)).await?;
        Ok(true)
    }
}
