//! A service of the story's own.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use faceofmind::app::App;
use faceofmind_actors::{exporter::Handle, session_tracker::SessionTracker};
use faceofmind_kit::{Database, Rng, SupervisorHandle, supervisor::State};
use tokio::{net::TcpStream, time::timeout};

use super::{Client, Mail, Profile, Relay, events::Bus, ground::Ground, logs, servers::Server};

/// Longer than this no stop in good order takes, with nothing left to do.
const STOP: Duration = Duration::from_secs(5);

/// The real service, in this process, on sockets of its own.
pub(crate) struct TestApp {
    pub(crate) ground: Arc<Ground>,
    pub(crate) address: SocketAddr,
    /// Where operators look.
    pub(crate) operators: Option<SocketAddr>,
    pub(super) bus: Bus,
    http: reqwest::Client,
    tree: SupervisorHandle,
    /// The session tracker, whose fail point a test may arm.
    pub(crate) sessions: Handle<SessionTracker>,
    database: Database,
    running: Mutex<Option<App>>,
}

impl TestApp {
    /// On ground of its own, with these settings over those of all stories.
    pub(crate) async fn start(profile: Profile, settings: &[(&str, &str)]) -> Self {
        logs::keep();
        Self::on(Ground::lay(profile, settings).await, &[]).await
    }

    async fn on(ground: Arc<Ground>, changes: &[(&str, &str)]) -> Self {
        let settings = ground.settings(changes);
        let app = App::start(settings, ground.clock.clone(), Rng::system()).await.expect("the service starts");
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        Self {
            address: app.address(),
            operators: app.operator_address(),
            bus: Bus::listen(app.subscribe(), Arc::clone(&ground)),
            http: http.expect("a client without TLS"),
            tree: app.tree().clone(),
            sessions: app.sessions().clone(),
            database: ground.database(),
            running: Mutex::new(Some(app)),
            ground,
        }
    }

    /// Stops this service and starts it again with changed settings, on the same ground.
    pub(crate) async fn restarted(&self, changes: &[(&str, &str)]) -> Self {
        self.stop().await;
        self.another_node(changes).await
    }

    /// A second service on the same ground: the same database, the same account at NATS.
    pub(crate) async fn another_node(&self, changes: &[(&str, &str)]) -> Self {
        Self::on(Arc::clone(&self.ground), changes).await
    }

    /// A second service on the same ground that reaches one server over a wire that can be cut.
    pub(crate) async fn node_behind_a_relay(&self, server: Server, changes: &[(&str, &str)]) -> (Self, Relay) {
        let (relay, (name, value)) = self.ground.relay(server).await;
        let changes = [changes, &[(name, value.as_str())]].concat();
        (self.another_node(&changes).await, relay)
    }

    pub(crate) fn is_embedded(&self) -> bool {
        self.ground.profile == Profile::Embedded
    }

    /// Someone without a token, at an address where nobody else is.
    pub(crate) fn client(&self) -> Client {
        self.client_at(&self.ground.client_address())
    }

    /// Someone without a token at this address.
    pub(crate) fn client_at(&self, client_address: &str) -> Client {
        Client::new(self.http.clone(), self.address, client_address, Arc::clone(&self.ground))
    }

    /// Sets the service's clock forward.
    pub(crate) fn advance(&self, minutes: u64) {
        self.ground.clock.advance(Duration::from_secs(60 * minutes));
    }

    /// Sets the service's clock forward by less than a minute.
    pub(crate) fn advance_seconds(&self, seconds: u64) {
        self.ground.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn tree(&self) -> SupervisorHandle {
        self.tree.clone()
    }

    /// The next mail to that address that this story has not read yet; waits for it.
    pub(crate) async fn mail_to(&self, email: &str) -> Mail {
        self.ground.inbox.next_to(email).await
    }

    /// Waits until nothing is left to be mailed.
    pub(crate) async fn all_is_mailed(&self) {
        super::eventually("all mails to be sent", async || {
            let waiting = self.number("SELECT count(*) FROM mail_intents WHERE dead_at IS NULL").await;
            (waiting == 0).then_some(())
        })
        .await;
    }

    /// Waits until nothing is left to be mailed, then looks whether there is an unread mail to that address.
    pub(crate) async fn expect_no_mail_to(&self, email: &str) {
        self.all_is_mailed().await;
        let unread = self.ground.inbox.unread_to(email);
        assert!(unread.is_none(), "nothing was to be mailed to {email}, and yet: {unread:?}");
    }

    pub(crate) const fn database(&self) -> &Database {
        &self.database
    }

    /// From here on answers of 500 and above are part of the story.
    pub(crate) fn expect_failures(&self) {
        self.ground.failures_expected.store(true, Ordering::Relaxed);
    }

    /// From here on restarts of actors are part of the story, and the failures of those who wait on them.
    pub(crate) fn expect_restarts(&self) {
        self.ground.restarts_expected.store(true, Ordering::Relaxed);
        self.expect_failures();
    }

    /// Stops in good order, within a time.
    pub(crate) async fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(app) = running else { return };
        timeout(STOP, app.stop()).await.expect("the service stops in time");
        self.bus.finish().await;
        let refused = TcpStream::connect(self.address).await.is_err();
        assert!(refused, "a stopped service takes no connection");
        self.expect_all(State::Stopped);
    }

    /// The end of every story: what must hold whatever was told.
    pub(crate) async fn finish(&self) {
        self.expect_no_dead_letters().await;
        if self.running.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            self.expect_all(State::Running);
        }
        self.stop().await;
        self.ground.expect_no_secret_in_the_log();
        self.ground.expect_no_faults();
        self.database.close().await;
        self.ground.clear().await;
    }

    fn expect_all(&self, state: State) {
        if self.ground.restarts_expected.load(Ordering::Relaxed) {
            return;
        }
        let restarted = self.tree.snapshot().into_iter().find(|row| row.restarts > 0 || row.state != state);
        assert!(restarted.is_none(), "an actor is not {state:?}, or was restarted: {restarted:?}");
    }

    async fn expect_no_dead_letters(&self) {
        let dead = self.number("SELECT count(*) FROM mail_intents WHERE dead_at IS NOT NULL").await;
        assert_eq!(dead, 0, "mails that could not be sent");
    }
}
