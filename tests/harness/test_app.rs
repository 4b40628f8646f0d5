//! The service under test.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use faceofmind::app::App;
use faceofmind_base::Rng;
use faceofmind_db::Database;
use faceofmind_domain::sessions::SessionTracker;
use faceofmind_runtime::{ActorState, Handle, SupervisorHandle};
use reqwest::Method;
use tokio::{net::TcpStream, time::timeout};

use super::{
    Client, Mail, Profile, Response, TcpProxy, events::ServiceEvents, eventually, logs, test_env::TestEnv,
    test_services::Server,
};

/// An idle service stops within this time.
const STOP: Duration = Duration::from_secs(5);

/// The real service, in this process, on its own sockets.
pub(crate) struct TestApp {
    pub(crate) env: Arc<TestEnv>,
    pub(crate) address: SocketAddr,
    /// The listener for `/metrics`; `None` if `OPERATOR_ADDR` is empty.
    pub(crate) operators: Option<SocketAddr>,
    pub(super) service_events: ServiceEvents,
    http: reqwest::Client,
    tree: SupervisorHandle,
    /// The session tracker, whose fail point a test may arm.
    pub(crate) sessions: Handle<SessionTracker>,
    database: Database,
    running: Mutex<Option<App>>,
}

impl TestApp {
    /// Starts a service in an environment of its own, with these settings over the common ones.
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
            service_events: ServiceEvents::listen(app.subscribe(), env.nats()).await,
            http: http.expect("a client without TLS"),
            tree: app.tree().clone(),
            sessions: app.sessions().clone(),
            database: env.database(),
            running: Mutex::new(Some(app)),
            env,
        }
    }

    /// Stops this service and starts it again in the same environment, with changed settings.
    pub(crate) async fn restarted(&self, changes: &[(&str, &str)]) -> Self {
        self.stop().await;
        self.another_node(changes).await
    }

    /// Starts another node in the same environment: the same database, the same account at NATS.
    pub(crate) async fn another_node(&self, changes: &[(&str, &str)]) -> Self {
        Self::on(Arc::clone(&self.env), changes).await
    }

    /// Starts another node in the same environment, which reaches one server through a proxy.
    pub(crate) async fn node_behind_proxy(&self, server: Server, changes: &[(&str, &str)]) -> (Self, TcpProxy) {
        let (proxy, (name, value)) = self.env.proxy_to(server).await;
        let changes = [changes, &[(name, value.as_str())]].concat();
        (self.another_node(&changes).await, proxy)
    }

    pub(crate) fn is_embedded(&self) -> bool {
        self.env.profile == Profile::Embedded
    }

    /// A client without a token, at an unused IP address.
    pub(crate) fn client(&self) -> Client {
        self.client_from(&self.env.unused_client_ip())
    }

    /// A client without a token at this IP address.
    pub(crate) fn client_from(&self, ip: &str) -> Client {
        Client::new(self.http.clone(), self.address, ip, Arc::clone(&self.env))
    }

    /// Advances the service's clock.
    pub(crate) fn advance(&self, minutes: u64) {
        self.env.clock.advance(Duration::from_secs(60 * minutes));
    }

    pub(crate) fn advance_seconds(&self, seconds: u64) {
        self.env.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn tree(&self) -> SupervisorHandle {
        self.tree.clone()
    }

    /// Waits for the next mail to this address that the test has not read.
    pub(crate) async fn mail_to(&self, email: &str) -> Mail {
        self.env.inbox.next_to(email).await
    }

    /// Waits until the mail queue is empty.
    pub(crate) async fn wait_until_mailed(&self) {
        eventually("all mails are sent", async || {
            let waiting = self.number("SELECT count(*) FROM mail_intents WHERE dead_at IS NULL").await;
            (waiting == 0).then_some(())
        })
        .await;
    }

    /// Waits until the mail queue is empty, then asserts that no unread mail to this address has arrived.
    pub(crate) async fn expect_no_mail_to(&self, email: &str) {
        self.wait_until_mailed().await;
        let unread = self.env.inbox.unread_to(email);
        assert!(unread.is_none(), "an unexpected mail to {email}: {unread:?}");
    }

    /// Waits until `/ready` reports this status. Gives the response.
    pub(crate) async fn wait_for_status(&self, status: &str) -> Response {
        eventually(&format!("the service is {status}"), async || {
            let ready = self.client().call(Method::GET, "/ready").send().await;
            (ready.json["status"] == status).then_some(ready)
        })
        .await
    }

    pub(crate) const fn database(&self) -> &Database {
        &self.database
    }

    /// Accepts responses of 500 and above from here on.
    pub(crate) fn allow_failures(&self) {
        self.env.failures_allowed.store(true, Ordering::Relaxed);
    }

    /// Accepts restarts of actors from here on, and the failures that they cause.
    pub(crate) fn allow_restarts(&self) {
        self.env.restarts_allowed.store(true, Ordering::Relaxed);
        self.allow_failures();
    }

    /// Stops the service and asserts that it stops in time, closes its listener and stops every actor.
    pub(crate) async fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(app) = running else { return };
        timeout(STOP, app.stop()).await.expect("the service stops in time");
        self.service_events.finish().await;
        assert!(TcpStream::connect(self.address).await.is_err(), "a stopped service accepts no connection");
        self.assert_actors(ActorState::Stopped);
    }

    /// Asserts what must hold at the end of every test, and frees the environment.
    pub(crate) async fn finish(&self) {
        self.assert_no_dead_letters().await;
        if self.running.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            self.assert_actors(ActorState::Running);
        }
        self.stop().await;
        self.env.assert_no_secret_in_log();
        self.database.close().await;
    }

    fn assert_actors(&self, state: ActorState) {
        if self.env.restarts_allowed.load(Ordering::Relaxed) {
            return;
        }
        let restarted = self.tree.snapshot().into_iter().find(|row| row.restarts > 0 || row.state != state);
        assert!(restarted.is_none(), "an actor is not {state:?}, or was restarted: {restarted:?}");
    }

    async fn assert_no_dead_letters(&self) {
        let dead = self.number("SELECT count(*) FROM mail_intents WHERE dead_at IS NOT NULL").await;
        assert_eq!(dead, 0, "mails that could not be sent");
    }
}
