//! Whether a bearer token is good, and whose.

use std::sync::Arc;

use faceofmind_runtime::legacy::Failure;

use super::{LoginId, Logins, Message};
use faceofmind_model::user::User;

/// Who asks: an active user, and the log-in that they use.
#[derive(Clone, Debug)]
pub struct Identity {
    /// As last read.
    pub user: Arc<User>,
    /// Theirs.
    pub login: LoginId,
}

/// Why a token does not count.
#[derive(Debug, thiserror::Error)]
pub enum BearerError {
    /// Malformed, forged, expired, revoked, or of another kind.
    #[error("the token is not good")]
    Bad,
    /// It could not be looked up.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<faceofmind_db::StoreError> for BearerError {
    fn from(error: faceofmind_db::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl Logins {
    /// Answers from memory when the log-in is known and its generation proven; else reads it, and proves the generation before answering.
    ///
    /// # Errors
    /// [`BearerError::Bad`] for any token that does not count.
    pub async fn identify(&self, access_token: &str) -> Result<Identity, BearerError> {
        let bearer = self.ledger.tokens.read_access(access_token).ok_or(BearerError::Bad)?;
        match self.ledger.views.get(bearer.login) {
            Some((login, user)) if bearer.generation <= login.proven_generation && bearer.user == Some(user.id) => {
                Ok(Identity { login: login.id, user })
            }
            _ => self.address.ask(|reply| Message::Admit(bearer, reply)).await,
        }
    }
}
