//! Changing keys: a round through everything that rests sealed, room by room, beside a service at work.
//!
//! It can be interrupted at any moment and begun anew: what is sealed by today's key is passed over.

use faceofmind_kit::{Database, Failure};

use crate::{
    idempotency,
    keyring::{Keyring, Round, Tally},
    session_tracker,
};

/// What rests sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What people said.
    VoiceTexts,
    /// First answers to an `Idempotency-Key`.
    KeptAnswers,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Self; 2] = [Self::VoiceTexts, Self::KeptAnswers];

    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VoiceTexts => "voice texts",
            Self::KeptAnswers => "kept answers",
        }
    }

    async fn lead(self, db: &Database, mut round: Round<'_>) -> Result<Tally, Failure> {
        match self {
            Self::VoiceTexts => session_tracker::reseal(db, &mut round).await?,
            Self::KeptAnswers => idempotency::reseal(db, &mut round).await?,
        }
        Ok(round.end())
    }
}

/// By which keys everything is sealed. Changes nothing.
///
/// # Errors
/// [`Failure::Store`].
pub async fn status(db: &Database, keyring: &Keyring) -> Result<Vec<(Kind, Tally)>, Failure> {
    let mut tallies = Vec::new();
    for kind in Kind::ALL {
        tallies.push((kind, kind.lead(db, Round::looking(keyring, &mut |_| ())).await?));
    }
    Ok(tallies)
}

/// Seals anew what today's key did not seal, and seals what is not sealed at all. `tell` hears after each page how far it is.
///
/// # Errors
/// [`Failure::Store`]; what was sealed anew until then stays so.
pub async fn rotate(
    db: &Database,
    keyring: &Keyring,
    mut tell: impl FnMut(Kind, &Tally) + Send,
) -> Result<(), Failure> {
    for kind in Kind::ALL {
        kind.lead(db, Round::renewing(keyring, &mut |tally| tell(kind, tally))).await?;
    }
    if let Err(failure) = db.forget_deleted().await {
        tracing::warn!(%failure, "what was sealed before still stands in the database's file: run it again when there is less to do");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
