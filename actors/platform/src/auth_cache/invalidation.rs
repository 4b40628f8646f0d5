//! Invalidations between nodes, over core NATS: no stream, no delay.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::{AuthCache, Invalidation};
use crate::nats::NatsConnection;

const SUBJECT: &str = "fom.internal.invalidate";
const RESUBSCRIBE_DELAY: Duration = Duration::from_millis(100);

/// Sends an invalidation to the other nodes that are connected; a node without a link treats its cache as invalid. While the link of
/// this node is down it sends nothing. When the link is up again, it invalidates everything on the other nodes.
pub(super) fn publish(nats: &NatsConnection, change: Invalidation) {
    if !nats.state().is_connected() {
        return;
    }
    let payload = serde_json::to_vec(&change).expect("ids and words are JSON");
    let nats = nats.clone();
    tokio::spawn(async move {
        if let Err(error) = nats.client().publish(SUBJECT, payload.into()).await {
            tracing::warn!(%error, "invalidation was not sent to other nodes; their entries stay valid for at most 5 seconds");
        }
    });
}

/// Applies the invalidations of other nodes. Never returns. Subscribes again on each connection.
pub async fn subscribe(nats: NatsConnection, cache: AuthCache) {
    loop {
        let epoch = nats.state().epoch();
        let subscription = async {
            if nats.state().is_connected() {
                apply_invalidations(&nats, &cache).await;
                tokio::time::sleep(RESUBSCRIBE_DELAY).await;
            } else {
                std::future::pending().await
            }
        };
        tokio::select! {
            () = subscription => {}
            () = nats.state().changed_since(epoch) => {}
        }
    }
}

/// The subscription stands after the first round trip, because the server processes a connection's commands in order.
async fn apply_invalidations(nats: &NatsConnection, cache: &AuthCache) {
    let mut invalidations = match nats.client().subscribe(SUBJECT).await {
        Ok(invalidations) => invalidations,
        Err(error) => {
            return tracing::warn!(%error, "subscription to invalidations of other nodes failed; it is retried");
        }
    };
    if !nats.responds().await {
        return;
    }
    let _subscribed = cache.mark_subscribed();
    publish(nats, Invalidation::All);
    while let Some(message) = invalidations.next().await {
        cache.invalidate(serde_json::from_slice(&message.payload).unwrap_or(Invalidation::All));
    }
}
