//! What the publishers of several nodes tell one another over core NATS, so that none waits for its next look at the outbox. Only hints:
//! one that is lost costs the time until that look, and nothing else.

use std::{sync::Arc, time::Duration};

use faceofmind_runtime::legacy::{Address, Errands};
use futures_util::StreamExt as _;
use tokio::sync::Notify;

use super::carrier::Message;
use crate::nats::Nats;

const SUBJECT: &str = "fom.internal.outbox";
/// Between two hints of one kind, so that a busy node sends a hundred a second at most.
const SPACING: Duration = Duration::from_millis(10);
const REST: Duration = Duration::from_millis(100);

/// What there is to hint at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// Who does not lead has recorded events: the leader is to look.
    Recorded,
    /// The leader has published: who has listeners is to tell them.
    Published,
}

impl Hint {
    const ALL: [Self; 2] = [Self::Recorded, Self::Published];

    const fn word(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Published => "published",
        }
    }

    fn read(payload: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|hint| hint.word().as_bytes() == payload)
    }
}

/// Sends hints to the other nodes, and tells the actor of theirs, for as long as the errands run.
#[derive(Debug, Default)]
pub(super) struct Nudges {
    recorded: Arc<Notify>,
    published: Arc<Notify>,
}

impl Nudges {
    pub(super) fn start(nats: &Nats, address: &Address<Message>, errands: &mut Errands) -> Self {
        let nudges = Self::default();
        for hint in Hint::ALL {
            errands.run(tell(nats.clone(), hint, Arc::clone(nudges.of(hint))));
        }
        errands.run(hear(nats.clone(), address.clone()));
        nudges
    }

    /// Sends it soon; several meanwhile are one.
    pub(super) fn give(&self, hint: Hint) {
        self.of(hint).notify_one();
    }

    fn of(&self, hint: Hint) -> &Arc<Notify> {
        match hint {
            Hint::Recorded => &self.recorded,
            Hint::Published => &self.published,
        }
    }
}

async fn tell(nats: Nats, hint: Hint, given: Arc<Notify>) {
    loop {
        given.notified().await;
        // A client that is cut off keeps what it is to send until it is connected, by when everybody looks anyway.
        if nats.link().is_up()
            && let Err(error) = nats.client().publish(SUBJECT, hint.word().into()).await
        {
            tracing::debug!(%error, "other nodes were not nudged");
        }
        tokio::time::sleep(SPACING).await;
    }
}

/// The client repeats the subscription when it connects again.
async fn hear(nats: Nats, address: Address<Message>) {
    loop {
        match nats.client().subscribe(SUBJECT).await {
            Ok(mut hints) => {
                while let Some(message) = hints.next().await {
                    if let Some(hint) = Hint::read(&message.payload) {
                        address.tell(Message::Hinted(hint));
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "nudges of other nodes cannot be subscribed to"),
        }
        tokio::time::sleep(REST).await;
    }
}
