//! Everything held about a user, as one JSON document: read at one moment, room by room, as fast as its reader takes it.
//!
//! The actor owns no table. It owns the exports under way: how many there may be, and how long each may take. Each room writes what it
//! keeps by a function that it exports; `contents` calls them in their order.

use std::time::Duration;

use faceofmind_kit::{Address, Child, Clock, Database, Failure, Reply};

use crate::{keyring::Keyring, user_registry::UserId};

mod contents;
mod document;
mod room;
mod table;

pub use document::{CutShort, Document, Ending, Incomplete, List, Pieces};
use room::{Means, Room};
pub use table::{PAGE, page, table};

const MAILBOX: usize = 256;
const DEADLINE: Duration = Duration::from_secs(10);

/// How many, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Exports at a time, of all users: each has a connection to the database beside the pool.
    pub most_at_once: usize,
    /// How long one may take, however slowly it is read; then it is cut short.
    pub longest: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { most_at_once: 2, longest: Duration::from_secs(600) }
    }
}

/// Where exports are begun. Clones lead to the same actor.
#[derive(Clone, Debug)]
pub struct Exporter {
    address: Address<Message>,
}

/// Why nothing is exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// One export of this user is under way.
    #[error("An export of yours is under way: let it end first.")]
    UnderWay,
    /// Not begun; [`Failure::Busy`] when others have as many under way as there may be.
    #[error(transparent)]
    Failed(#[from] Failure),
}

enum Message {
    Begin(UserId, Reply<Result<Pieces, ExportError>>),
    /// An export has ended, one way or the other.
    Ended(UserId),
}

impl Exporter {
    /// The room's handle, and the actor to be supervised.
    pub fn new(settings: Settings, db: Database, keyring: Keyring, clock: Clock) -> (Self, Child) {
        let address = Address::new("exporter", MAILBOX, DEADLINE);
        let (own, means) = (address.clone(), Means { db, keyring, clock });
        let child = Child::new(address.clone(), move || {
            let room = Room::new(settings, means.clone(), own.clone());
            async move { Ok::<_, Failure>(room) }
        });
        (Self { address }, child)
    }

    /// Begins to export what is held about a user now. Whoever stops reading the pieces holds it up, and whoever drops them ends it.
    ///
    /// # Errors
    /// [`ExportError`]. What goes wrong later cuts the document short: [`Incomplete`].
    pub async fn export(&self, user: UserId) -> Result<Pieces, ExportError> {
        self.address.ask(|reply| Message::Begin(user, reply)).await
    }
}

#[cfg(test)]
mod tests;
