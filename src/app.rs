//! The service: starts every part from the settings, and stops them in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::migrations;
use faceofmind_model::event::PublishedEvent;
use faceofmind_runtime::SupervisorHandle;
use faceofmind_system::{ActorSet, ActorSystem};
use salvo::affix_state;
use tokio::{sync::broadcast, task::JoinHandle, time::Instant};

use crate::{
    http::{
        self,
        connections::open::{ConnectionLimits, ConnectionMetrics, OpenConnections},
        edge::HttpConfig,
        metrics, router,
        server::{Server, ServerHandle},
        state::{AppState, State},
    },
    settings::Settings,
};

mod bootstrap;
mod commands;
mod error;
mod instance_lock;
mod keys;
mod migrate;
mod open_files;
mod tail;

pub(crate) use commands::{NewAdmin, create_admin, serve};
pub use error::StartError;
pub(crate) use keys::{KeysAction, keys};
pub(crate) use migrate::{MigrateAction, migrate};
pub(crate) use tail::{accept_event_gaps, tail};

use self::instance_lock::InstanceLock;

/// The most connections of operators. They count against the reserve of open files.
const OPERATOR_CONNECTIONS: usize = 32;
/// The time in which the first request of a connection that was accepted last arrives. Proxies connect when they have a request.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// A running service. [`App::stop`] stops it in order. Dropping it cuts off its requests.
pub struct App {
    state: State<AppState>,
    instance_lock: InstanceLock,
    address: SocketAddr,
    operator_address: Option<SocketAddr>,
    listeners: Vec<(ServerHandle, JoinHandle<()>)>,
    /// How long it serves on when it stops.
    drain: Duration,
    shutdown_timeout: Duration,
}

impl App {
    /// Starts the service: migrates the database, starts the actors, then listens.
    ///
    /// # Errors
    /// [`StartError`] says which part could not start and what to do.
    pub async fn start(settings: Settings, clock: Clock, rng: Rng) -> Result<Self, StartError> {
        let secrets = bootstrap::secrets(&settings, &rng)?;
        let resources = bootstrap::connect_resources(&settings, &secrets, clock, rng.clone()).await?;
        let actors = bootstrap::actor_settings(&settings, secrets)?;
        let db = resources.db.clone();
        bootstrap::check_database(&db).await?;
        let instance_lock = InstanceLock::acquire(&settings.database_url())?;
        migrations::migrate(&db).await?;
        let clock = resources.clock.clone();
        let system = ActorSystem::start(resources, actors, ActorSet::All).await.map_err(StartError::Actors)?;
        let limits = &settings.limits;
        let anonymous_calls =
            bootstrap::limit(limits, "anonymous-calls", limits.auth_calls_per_minute, bootstrap::MINUTE);
        let secure_cookies = settings.service.environment.is_production();
        let daily_share = bootstrap::daily_share(&settings);
        let state = State::new(AppState::new(system, anonymous_calls, daily_share, secure_cookies));
        let stopping = state.stopping.clone();
        let edge = bootstrap::http_config(&settings, stopping, move || rng.uuid_v7(clock.now()));
        let mut app = Self {
            state,
            instance_lock,
            address: SocketAddr::new(settings.http.host, settings.http.port),
            operator_address: settings.http.operator_addr,
            listeners: Vec::new(),
            drain: settings.http.drain,
            shutdown_timeout: settings.http.shutdown_timeout,
        };
        if let Err(error) = app.listen(&edge).await {
            app.close(app.shutdown_timeout).await;
            return Err(error);
        }
        Ok(app)
    }

    async fn listen(&mut self, edge: &HttpConfig) -> Result<(), StartError> {
        let site = router::public_routes(http::routes).hoop(affix_state::inject(self.state.clone()));
        let clients = OpenConnections::new(edge.connections.clone(), edge.metrics.connections.clone());
        let public =
            Server::bind("HOST or PORT", self.address, router::public_service(site, edge), edge.limits, clients)
                .await?;
        self.address = public.address;
        self.listeners.push(run(public));
        if let Some(address) = &mut self.operator_address {
            let site = metrics::router(edge.metrics.clone(), edge.admission.clone())
                .hoop(affix_state::inject(self.state.clone()));
            let few = ConnectionLimits { max: OPERATOR_CONNECTIONS, share: OPERATOR_CONNECTIONS, ..Default::default() };
            let few = OpenConnections::new(few, ConnectionMetrics::default());
            let operators =
                Server::bind("OPERATOR_ADDR", *address, router::admin_service(site, edge), edge.limits, few).await?;
            *address = operators.address;
            self.listeners.push(run(operators));
        }
        Ok(())
    }

    async fn close(&self, within: Duration) {
        self.state.tree.stop(within).await;
        self.state.platform.db.close().await;
        self.instance_lock.release();
    }

    /// The address of the public listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the operators' listener. None when it is disabled.
    pub fn operator_address(&self) -> Option<SocketAddr> {
        self.operator_address
    }

    /// The supervisor of the actors.
    pub fn tree(&self) -> &SupervisorHandle {
        &self.state.tree
    }

    /// The session tracker, whose fail point a test may arm.
    #[cfg(feature = "test-hooks")]
    pub fn sessions(&self) -> &faceofmind_runtime::Handle<faceofmind_domain::sessions::SessionTracker> {
        &self.state.modules.sessions
    }

    /// Receives the events that are published from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<PublishedEvent>> {
        self.state.platform.events.subscribe()
    }

    /// Waits until an actor has failed too often. Returns its name.
    pub async fn escalated(&self) -> &'static str {
        self.state.tree.clone().escalated().await
    }

    /// Stops the service in order: `/ready` answers 503 while it serves on, new connections are refused, requests in progress finish, the
    /// actors stop in the reverse order of their start, and the database closes. It takes little longer than `drain_seconds` and
    /// `shutdown_timeout_seconds`.
    pub async fn stop(mut self) {
        self.state.stopping.cancel();
        tokio::time::sleep(self.drain).await;
        for (handle, _) in &self.listeners {
            handle.close().await;
        }
        tokio::time::sleep(self.drain.min(FIRST_REQUEST)).await;
        let end = Instant::now() + self.shutdown_timeout;
        for (handle, _) in &self.listeners {
            handle.stop(self.shutdown_timeout).await;
        }
        for (_, running) in std::mem::take(&mut self.listeners) {
            // The message of the panic is not logged, because it may quote personal text.
            if running.await.is_err() {
                tracing::error!("listener panicked");
            }
        }
        self.close(end.duration_since(Instant::now())).await;
    }
}

fn run(server: Server) -> (ServerHandle, JoinHandle<()>) {
    let handle = server.handle.clone();
    let running = tokio::spawn(async move {
        if let Err(error) = server.run().await {
            tracing::error!(%error, "listener failed");
        }
    });
    (handle, running)
}

#[cfg(test)]
mod tests;
