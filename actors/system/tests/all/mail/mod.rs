//! The queue, from a mail job to a received mail.

use std::time::Duration;

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;
use faceofmind_model::{MailReason, RequestContext, UserId};
use faceofmind_platform::mail::{Cause, CountJobs, JobCounts, MailError, enqueue};
use faceofmind_runtime::AskError;

use crate::support::{HANG_UP, MailServer, PASSWORD, Received, TestContext, client, email, settings, until};

mod budgets;
mod crashes;
mod retries;

const ADA: &str = "ada@example.org";
const BOB: &str = "bob@example.org";
const LATER: &str = "451 4.7.1 later";
const NEVER: &str = "550 5.1.1 no such user";
const SILENCE: &str = "";

/// Returns a system on that database that mails to the server.
async fn test(db: Database, server: &MailServer) -> TestContext {
    TestContext::with(db, server.transport(), None, &Clock::system(), settings()).await
}

/// Returns a system on each database, and its mail server.
async fn contexts() -> Vec<(TestContext, MailServer)> {
    let mut contexts = Vec::new();
    for db in faceofmind_testing::databases().await {
        let server = MailServer::start().await;
        contexts.push((test(db, &server).await, server));
    }
    contexts
}

impl TestContext {
    async fn jobs(&self) -> JobCounts {
        self.system.platform.mailer.ask(CountJobs).await.expect("counts")
    }

    async fn until_queued(&self, waiting: i64, dead: i64) {
        until("the queue holds these jobs", async || self.jobs().await == JobCounts { waiting, dead }).await;
    }

    /// Waits until at least that many mails are in flight. A mail that becomes slow leaves its place to another, so there may be more.
    async fn until_in_flight(&self, mails: usize) {
        let in_flight =
            async || self.system.platform.mailer.status().await.is_ok_and(|status| status.in_flight >= mails);
        until("the mails are in flight", in_flight).await;
    }

    /// Lets the claims of dead nodes lapse. A live sender renews its claim within 3 s.
    async fn lapse_claims(&self) {
        self.run("UPDATE mail_intents SET claimed_until = created_at WHERE claimed_until IS NOT NULL").await;
    }

    /// Creates a user with a verified address, whose mails are the server's.
    async fn person_at(&self, server: &MailServer, address: &str) -> UserId {
        self.register(address, PASSWORD, "phone").await;
        self.until_queued(0, 0).await;
        let mail = server.mails().pop().expect("the code");
        self.verify(address, &mail).await.expect("verifies").id
    }

    async fn until_retried(&self, times: u64) {
        let retried = async || self.system.platform.mailer.status().await.is_ok_and(|status| status.retried == times);
        until("the attempts have failed", retried).await;
    }
}

async fn until_mailed(server: &MailServer, count: usize) -> Vec<Received> {
    until("the mails arrive", async || server.mails().len() >= count).await;
    server.mails()
}
