//! The actor: who has an export under way.

use std::collections::HashSet;

use faceofmind_kit::{Actor, Address, Clock, Database, Errands, Failure, Permit, Reply, Snapshot};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{CutShort, Document, Ending, ExportError, Message, Pieces, Settings, contents};
use crate::{keyring::Keyring, user_registry::UserId};

/// What exports are made with.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) db: Database,
    pub(super) keyring: Keyring,
    pub(super) clock: Clock,
}

pub(super) struct Room {
    settings: Settings,
    means: Means,
    address: Address<Message>,
    under_way: HashSet<UserId>,
    /// Nobody waits for them when the actor stops: who is still reading then, reads no further.
    errands: Errands,
}

impl Room {
    pub(super) fn new(settings: Settings, means: Means, address: Address<Message>) -> Self {
        Self { settings, means, address, under_way: HashSet::new(), errands: Errands::default() }
    }

    fn begin(&mut self, user: UserId, reply: Reply<Result<Pieces, ExportError>>, permit: Permit) {
        if self.under_way.contains(&user) {
            return reply.send(Err(ExportError::UnderWay));
        }
        if self.under_way.len() >= self.settings.most_at_once {
            return reply.send(Err(Failure::Busy("exporter").into()));
        }
        self.under_way.insert(user);
        let (means, longest) = (self.means.clone(), self.settings.longest);
        let place = Place { user, address: self.address.clone() };
        self.errands.run(async move {
            let snapshot = match means.db.snapshot().await {
                Ok(snapshot) => snapshot,
                Err(failure) => return reply.send(Err(failure.into())),
            };
            let (document, pieces) = Document::open();
            reply.send(Ok(pieces));
            drop(permit);
            match timeout(longest, means.write(user, snapshot, document)).await {
                Ok(Ok(ending)) => hand_over(ending, place).await,
                Ok(Err(CutShort::ReaderGone)) => tracing::info!("an export was not read to its end"),
                Ok(Err(CutShort::Failed(failure))) => tracing::warn!(%failure, "an export was cut short"),
                Err(_) => tracing::warn!("an export was read too slowly, and cut short"),
            }
        });
    }
}

/// The place is free before the reader sees the end, and may ask again.
async fn hand_over(ending: Ending, place: Place) {
    drop(place);
    if ending.send().await.is_err() {
        tracing::info!("an export was not read to its end");
    }
}

impl Means {
    async fn write(&self, user: UserId, mut snapshot: Snapshot, mut document: Document) -> Result<Ending, CutShort> {
        contents::write(&mut snapshot, &self.keyring, (user, self.clock.now()), &mut document).await?;
        snapshot.close().await?;
        Ok(document.close())
    }
}

/// Held by an export. Given back, however it ended.
struct Place {
    user: UserId,
    address: Address<Message>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.address.tell(Message::Ended(self.user));
    }
}

impl Actor for Room {
    type Message = Message;

    async fn receive(&mut self, message: Message, permit: Permit) {
        match message {
            Message::Begin(user, reply) => self.begin(user, reply, permit),
            Message::Ended(user) => drop(self.under_way.remove(&user)),
        }
    }

    fn observe(&self) -> Value {
        json!({ "under_way": self.under_way.len(), "panicked": self.errands.panicked() })
    }
}
