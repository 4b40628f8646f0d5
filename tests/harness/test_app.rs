//! A service of the story's own.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use faceofmind::app::App;
use faceofmind_actors::session_tracker::Sessions;
use faceofmind_kit::{Database, Rng, SupervisorHandle, supervisor::State};
use tokio::{net::TcpStream, time::timeout};

use super::{Client, Mail, Profile, TcpProxy, events::Bus, logs, test_env::TestEnv, test_services::Server};

/// Longer than this no stop in good order takes, with nothing left to do.
const STOP: Duration = Duration::from_secs(5);

/// The real service, in this process, on sockets of its own.
pub(crate) struct TestApp {
    pub(crate) env: Arc<TestEnv>,
    pub(crate) address: SocketAddr,
    /// Where operators look.
    pub(crate) operators: Option<SocketAddr>,
    pub(super) bus: Bus,
    http: reqwest::Client,
    tree: SupervisorHandle,
    /// The tracker's own door: to let it die in the middle of a batch.
    pub(crate) sessions: Sessions,
    database: Database,
    running: Mutex<Option<App>>,
}

impl TestApp {
    /// On ground of its own, with these settings over those of all stories.
    pub(crate) async fn start(profile: Profile, settings: &[(&str, &str)]) -> Self {
        logs::capture();
        Self::on(TestEnv::create(profile, settings).await, &[]).await
    }

    async fn on(env: Arc<TestEnv>, changes: &[(&str, &str)]) -> Self {
        let settings = env.settings(changes);
        let app = App::start(settings, env.clock.clone(), Rng::system()).await.expect("the service starts");
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        Self {
            address: app.address(),
            operators: app.operator_address(),
            bus: Bus::listen(app.subscribe(), Arc::clone(&env)),
            http: http.expect("a client without TLS"),
            tree: app.tree().clone(),
            sessions: app.sessions().clone(),
            database: env.database(),
            running: Mutex::new(Some(app)),
            env,
        }
    }

    /// Stops this service and starts it again with changed settings, on the same ground.
    pub(crate) async fn restarted(&self, changes: &[(&str, &str)]) -> Self {
        self.stop().await;
        self.another_node(changes).await
    }

    /// A second service on the same ground: the same database, the same account at NATS.
    pub(crate) async fn another_node(&self, changes: &[(&str, &str)]) -> Self {
        Self::on(Arc::clone(&self.env), changes).await
    }

    /// A second service on the same ground that reaches one server over a wire that can be cut.
    pub(crate) async fn node_behind_proxy(&self, server: Server, changes: &[(&str, &str)]) -> (Self, TcpProxy) {
        let (proxy, (name, value)) = self.env.proxy(server).await;
        let changes = [changes, &[(name, value.as_str())]].concat();
        (self.another_node(&changes).await, proxy)
    }

    pub(crate) fn is_embedded(&self) -> bool {
        self.env.profile == Profile::Embedded
    }

    /// Someone without a token, at an address where nobody else is.
    pub(crate) fn client(&self) -> Client {
        self.client_from(&self.env.unused_client_ip())
    }

    /// Someone without a token at this address.
    pub(crate) fn client_from(&self, unused_client_ip: &str) -> Client {
        Client::new(self.http.clone(), self.address, unused_client_ip, Arc::clone(&self.env))
    }

    /// Sets the service's clock forward.
    pub(crate) fn advance(&self, minutes: u64) {
        self.env.clock.advance(Duration::from_secs(60 * minutes));
    }

    /// Sets the service's clock forward by less than a minute.
    pub(crate) fn advance_seconds(&self, seconds: u64) {
        self.env.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn tree(&self) -> SupervisorHandle {
        self.tree.clone()
    }

    /// The next mail to that address that this story has not read yet; waits for it.
    pub(crate) async fn mail_to(&self, email: &str) -> Mail {
        self.env.inbox.next_to(email).await
    }

    /// Waits until nothing is left to be mailed.
    pub(crate) async fn wait_until_mailed(&self) {
        super::eventually("all mails to be sent", async || {
            let waiting = self.number("SELECT count(*) FROM mail_intents WHERE dead_at IS NULL").await;
            (waiting == 0).then_some(())
        })
        .await;
    }

    /// Waits until nothing is left to be mailed, then looks whether there is an unread mail to that address.
    pub(crate) async fn expect_no_mail_to(&self, email: &str) {
        self.wait_until_mailed().await;
        let unread = self.env.inbox.unread_to(email);
        assert!(unread.is_none(), "nothing was to be mailed to {email}, and yet: {unread:?}");
    }

    pub(crate) const fn database(&self) -> &Database {
        &self.database
    }

    /// From here on answers of 500 and above are part of the story.
    pub(crate) fn allow_failures(&self) {
        self.env.failures_allowed.store(true, Ordering::Relaxed);
    }

    /// From here on restarts of actors are part of the story, and the failures of those who wait on them.
    pub(crate) fn allow_restarts(&self) {
        self.env.restarts_allowed.store(true, Ordering::Relaxed);
        self.allow_failures();
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
        self.env.assert_no_secret_in_log();
        self.env.assert_events_match_schema();
        self.database.close().await;
        self.env.clean_up().await;
    }

    fn expect_all(&self, state: State) {
        if self.env.restarts_allowed.load(Ordering::Relaxed) {
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
