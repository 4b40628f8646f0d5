//! Claims on an address, and their proof.

use faceofmind_db::Tx;
use faceofmind_runtime::legacy::Failure;

use super::Ledger;
use crate::accounts::claims::NewClaim;
use crate::accounts::store::Account;
use crate::accounts::{CodeFor, VerifyError, claims, store};
use faceofmind_model::event::{EventContext, UserEvent};
use faceofmind_model::user::{ClaimId, Email, Status, User, UserId};
use faceofmind_model::{MailReason, RequestContext};
use faceofmind_platform::mail::Language;
use faceofmind_platform::password_hasher::PasswordHash;

/// A registration whose password is hashed.
pub(in crate::accounts) struct NewRegistration {
    pub(in crate::accounts) email: Email,
    pub(in crate::accounts) first_name: String,
    pub(in crate::accounts) last_name: String,
    pub(in crate::accounts) password: PasswordHash,
    pub(in crate::accounts) client: RequestContext,
}

impl Ledger {
    pub(in crate::accounts) async fn register(&self, new: NewRegistration) -> Result<(), Failure> {
        let claim = NewClaim {
            email: &new.email,
            first_name: &new.first_name,
            last_name: &new.last_name,
            password: &new.password,
            language: Language::choose(&new.client.languages),
        };
        let mut tx = self.db.begin().await?;
        let made = claims::make(&mut tx, &claim, self.clock.now()).await?;
        if made.is_new {
            self.record(&mut tx, &new.client.events, UserEvent::Registered { user_id: made.user }).await?;
        } else {
            store::touch(&mut tx, made.user).await?;
        }
        let occasion = MailReason::Registration { user: made.user, claim: made.claim };
        self.queue(&mut tx, &occasion, &new.client.rate_limit_key()).await?;
        self.commit(tx, made.user).await
    }

    pub(in crate::accounts) async fn verify(
        &self,
        email: &Email,
        claim: ClaimId,
        origin: &EventContext,
    ) -> Result<User, VerifyError> {
        let mut tx = self.db.begin().await?;
        let found = store::by_email(tx.connection(), email).await?.ok_or(VerifyError::BadCode)?;
        let mut account = store::lock(&mut tx, found.user.id).await?.ok_or(VerifyError::BadCode)?;
        let claim = claims::find(tx.connection(), account.user.id, claim).await?.ok_or(VerifyError::BadCode)?;
        if account.user.status != Status::Inactive {
            return Err(VerifyError::BadCode);
        }
        account.password = Some(claim.password());
        account.user.first_name = claim.first_name;
        account.user.last_name = claim.last_name;
        account.user.language = claim.language.or(account.user.language.take());
        self.activate(&mut tx, &mut account).await?;
        self.record(&mut tx, origin, UserEvent::Verified { user_id: account.user.id }).await?;
        self.commit(tx, account.user.id).await?;
        Ok(account.user)
    }

    /// The address is proven: the account is active, and no claim on it lives.
    pub(super) async fn activate(&self, tx: &mut Tx, account: &mut Account) -> Result<(), Failure> {
        account.user.status = Status::Active;
        store::save(tx, account).await?;
        store::mark_proven(tx, account.user.id, self.clock.now()).await?;
        claims::end_all(tx, account.user.id).await
    }

    pub(in crate::accounts) async fn send_code(&self, wanted: CodeFor, client: &RequestContext) -> Result<(), Failure> {
        let mut tx = self.db.begin().await?;
        let occasion = match wanted {
            CodeFor::Reset(email) => Some(MailReason::PasswordReset { email }),
            CodeFor::Claim { user, revision } => self.claimed(&mut tx, user, revision).await?,
        };
        if let Some(occasion) = occasion {
            self.queue(&mut tx, &occasion, &client.rate_limit_key()).await?;
            tx.commit().await?;
            self.mailer.wake();
        }
        Ok(())
    }

    /// The claim whose password was typed: the newest, if nobody has made another since.
    async fn claimed(&self, tx: &mut Tx, user: UserId, revision: i64) -> Result<Option<MailReason>, Failure> {
        let Some(account) = store::lock(tx, user).await? else { return Ok(None) };
        if account.user.status != Status::Inactive || account.user.revision != revision {
            return Ok(None);
        }
        let newest = claims::newest(tx, &account, self.clock.now()).await?;
        Ok(newest.map(|claim| MailReason::Registration { user, claim }))
    }
}
