//! What nodes tell one another of changes, over core NATS: no stream, no delay.

use async_nats::Subscriber;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::views::{Change, Views};
use crate::nats::Nats;

const SUBJECT: &str = "fom.internal.invalidate";

/// Tells the others what changes here, and puts out what changes there, for as long as the actor lives. What happened while the link was
/// down needs no asking for: what was kept before counts no more ([`Views::get`]).
pub(super) async fn exchange(nats: Nats, views: Views) {
    let changes = views.announcements();
    match subscribe(&nats).await {
        Ok(others) => {
            views.clear();
            tokio::join!(hear(others, &views), tell(&nats, changes));
        }
        Err(reason) => tracing::error!(reason, "news from other nodes cannot be subscribed to"),
    }
}

/// The client subscribes again by itself after each break, before the link counts as up.
async fn subscribe(nats: &Nats) -> Result<Subscriber, String> {
    let others = nats.client().subscribe(SUBJECT).await.map_err(|error| error.to_string())?;
    nats.client().flush().await.map_err(|error| error.to_string())?;
    Ok(others)
}

async fn hear(mut others: Subscriber, views: &Views) {
    use futures_util::StreamExt as _;
    while let Some(message) = others.next().await {
        match serde_json::from_slice::<Change>(&message.payload) {
            Ok(change) => views.put_out(change),
            Err(_) => views.clear(),
        }
    }
}

async fn tell(nats: &Nats, mut changes: Receiver<Change>) {
    loop {
        let payload = match changes.recv().await {
            Ok(change) => serde_json::to_vec(&change).unwrap_or_default(),
            Err(RecvError::Lagged(_)) => Vec::new(),
            Err(RecvError::Closed) => return,
        };
        if let Err(error) = nats.client().publish(SUBJECT, payload.into()).await {
            tracing::warn!(%error, "other nodes were not told of a change");
        }
    }
}
