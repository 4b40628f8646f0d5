//! The queue, from an intent to a mail that somebody reads.

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;

use super::*;
use crate::support;
use crate::support::{MailServer, PASSWORD, Received, World, bounds, until};
use faceofmind_platform::mail::intents::HELD;

mod crashes;
mod retries;

const ADA: &str = "ada@example.org";
const BOB: &str = "bob@example.org";
const LATER: &str = "451 4.7.1 later";
const NEVER: &str = "550 5.1.1 no such user";
const SILENCE: &str = "";

/// A house on that database that mails to the server.
async fn world(db: Database, server: &MailServer) -> World {
    World::with(db, server.transport(), None, &Clock::system(), bounds()).await
}

/// A house on each database, and the mail server that it speaks to.
async fn worlds() -> Vec<(World, MailServer)> {
    let mut worlds = Vec::new();
    for db in faceofmind_testing::databases().await {
        let server = MailServer::start().await;
        worlds.push((world(db, &server).await, server));
    }
    worlds
}

impl World {
    async fn queue(&self) -> Queue {
        self.system.mailer.count().await.expect("counts")
    }

    async fn until_queued(&self, waiting: i64, dead: i64) {
        until("the queue is so", async || self.queue().await == Queue { waiting, dead }).await;
    }

    /// What the actor has done since the start.
    async fn done(&self, what: &str) -> Value {
        self.system.tree.child("mailer").expect("is there").status().await.expect("observed")[what].clone()
    }

    async fn until_done(&self, what: &str, times: u64) {
        until(what, async || self.done(what).await == times).await;
    }
}

async fn until_mailed(server: &MailServer, count: usize) -> Vec<Received> {
    until("so many mails", async || server.mails().len() >= count).await;
    server.mails()
}
