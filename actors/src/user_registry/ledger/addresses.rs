//! Moving an account to another address.

use faceofmind_kit::{Failure, Tx};

use super::Ledger;
use crate::{
    client::Client,
    logins::{self, LoginId},
    mailer::{self, Occasion},
    publisher::{Cause, Event, Origin},
    user_registry::{
        AddressError, ClaimId, Email, User, UserId, address_changes, claims,
        store::{self, Account},
    },
};

/// Where a user wants to move to who has proven the password.
pub(in crate::user_registry) struct NewAddress {
    pub(in crate::user_registry) user: UserId,
    /// The revision of the user whose password it was.
    pub(in crate::user_registry) compared_at: i64,
    pub(in crate::user_registry) address: Email,
    pub(in crate::user_registry) client: Client,
}

/// An address that a user wants to move to and whose code they have typed.
pub(in crate::user_registry) struct ProvenAddress {
    pub(in crate::user_registry) user: UserId,
    pub(in crate::user_registry) claim: ClaimId,
    pub(in crate::user_registry) address: Email,
    /// The log-in that goes on.
    pub(in crate::user_registry) keep: LoginId,
    pub(in crate::user_registry) client: Client,
}

/// The user where they are now, and where they were.
pub(in crate::user_registry) type Moved = (User, Email);

/// Somebody may register the address between the look and the move, so many times.
const LOOKS: usize = 3;

impl Ledger {
    pub(in crate::user_registry) async fn wanted_address(
        &self,
        user: UserId,
    ) -> Result<Option<(ClaimId, Email)>, Failure> {
        address_changes::wanted(self.db.reader().await?.connection(), user, self.clock.now()).await
    }

    /// Who has the new address, if anybody, is not looked at before the mail is written.
    pub(in crate::user_registry) async fn request_address(&self, new: NewAddress) -> Result<(), Failure> {
        let NewAddress { user, compared_at, address, client } = new;
        let mut tx = self.db.begin().await?;
        let account = store::lock(&mut tx, user).await?.filter(|account| account.user.revision == compared_at);
        let account = account.ok_or(Failure::Busy("registry"))?;
        let claim = address_changes::want(&mut tx, user, &address, self.clock.now()).await?;
        self.queue(&mut tx, &Occasion::AddressClaim { user, claim }, &client.counted_as()).await?;
        let notice = Occasion::AddressChangeAsked { user, old: account.user.email };
        self.queue(&mut tx, &notice, &client.counted_as()).await?;
        tx.commit().await?;
        self.mailer.wake();
        Ok(())
    }

    pub(in crate::user_registry) async fn move_account(&self, proven: ProvenAddress) -> Result<Moved, AddressError> {
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
        mailer::drop_resets(&mut tx, &old).await?;
        self.settle_in(&mut tx, &mut account).await?;
        logins::end_all(&mut tx, *user, Some(*keep), self.clock.now()).await?;
        self.record(&mut tx, &client.origin, Event::UserEmailChanged { user_id: *user }).await?;
        let notice = Occasion::AddressChanged { user: *user, old: old.clone() };
        self.queue(&mut tx, &notice, &client.counted_as()).await?;
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
        self.erase(tx, &holder.user, &Origin::new(Cause::System)).await?;
        Ok(true)
    }
}
