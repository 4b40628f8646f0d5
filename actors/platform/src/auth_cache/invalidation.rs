//! What nodes tell one another of changes, over core NATS: no stream, no delay.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::{Change, Views};
use crate::nats::Nats;

const SUBJECT: &str = "fom.internal.invalidate";
const REST: Duration = Duration::from_millis(100);

/// Tells the other nodes, those that hear: who has lost the link believes nothing. While our own is down nobody is told, but
/// everything is put out there once it is up again.
pub(super) fn publish(nats: &Nats, change: Change) {
    if !nats.link().is_up() {
        return;
    }
    let payload = serde_json::to_vec(&change).expect("ids and words are JSON");
    let nats = nats.clone();
    tokio::spawn(async move {
        if let Err(error) = nats.client().publish(SUBJECT, payload.into()).await {
            tracing::warn!(%error, "other nodes were not told of a change");
        }
    });
}

/// Puts out what changes on other nodes, for as long as the actor lives. Each connection is subscribed to anew.
pub async fn subscribe_remote(nats: Nats, views: Views) {
    loop {
        let turn = nats.link().turn();
        let listening = async {
            if nats.link().is_up() {
                listen(&nats, &views).await;
                tokio::time::sleep(REST).await;
            } else {
                std::future::pending().await
            }
        };
        tokio::select! {
            () = listening => {}
            () = nats.link().moved_from(turn) => {}
        }
    }
}

/// From the first round trip on: the server deals with what a connection sends in order, so who is answered is subscribed.
async fn listen(nats: &Nats, views: &Views) {
    let mut others = match nats.client().subscribe(SUBJECT).await {
        Ok(others) => others,
        Err(error) => return tracing::warn!(%error, "news from other nodes cannot be subscribed to"),
    };
    if !nats.answers().await {
        return;
    }
    let _listening = views.listen();
    publish(nats, Change::Anything);
    while let Some(message) = others.next().await {
        views.put_out(serde_json::from_slice(&message.payload).unwrap_or(Change::Anything));
    }
}
