//! The one place that knows every part: from settings to a service that runs, and back to rest.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::migrations;
use faceofmind_model::event::PublishedEvent;
use faceofmind_runtime::SupervisorHandle;
use faceofmind_system::{ActorSet, ActorSystem};
use salvo::{Router, affix_state};
use tokio::{sync::broadcast, task::JoinHandle, time::Instant};

use crate::{
    http::{
        auth, community, events, metrics, ready, reminders, root,
        router::{self, HttpConfig},
        server::{Server, ServerHandle},
        sessions,
        state::{AppState, State},
        users,
    },
    settings::Settings,
};

mod bootstrap;
mod commands;
mod error;
mod instance_lock;
mod keys;
mod tail;

pub(crate) use commands::{MigrateAction, NewAdmin, create_admin, migrate, serve};
pub use error::StartError;
pub(crate) use keys::{KeysAction, keys};
pub(crate) use tail::tail;

use self::instance_lock::InstanceLock;

/// A service that runs. Stop it with [`App::stop`]; dropped, it is cut off.
pub struct App {
    state: State<AppState>,
    instance_lock: InstanceLock,
    address: SocketAddr,
    operator_address: Option<SocketAddr>,
    listeners: Vec<(ServerHandle, JoinHandle<()>)>,
    drain: Duration,
}

/// The documented routes, without state: they are also walked to write the documentation.
pub fn routes() -> Router {
    let mut resources = vec![auth::router(), users::router(), sessions::router(), community::router()];
    resources.extend([reminders::router(), events::router()]);
    let api = Router::with_path("api/v1").append(&mut resources);
    Router::new().push(root::router()).push(ready::router()).push(api)
}

impl App {
    /// Starts the service: brings the database up to date, then the actors, then listens.
    ///
    /// # Errors
    /// [`StartError`] says which part could not start and what to do.
    pub async fn start(settings: Settings, clock: Clock, rng: Rng) -> Result<Self, StartError> {
        let secrets = bootstrap::secrets(&settings, &rng)?;
        let resources = bootstrap::connect_resources(&settings, &secrets, clock, rng.clone()).await?;
        let db = resources.db.clone();
        bootstrap::check_database(&db).await?;
        let instance_lock = InstanceLock::acquire(&settings.database_url())?;
        migrations::migrate(&db).await?;
        let clock = resources.clock.clone();
        let actors = bootstrap::actor_settings(&settings, secrets);
        let system = ActorSystem::start(resources, actors, ActorSet::All).await.map_err(StartError::Actors)?;
        let limits = &settings.limits;
        let anonymous_calls =
            bootstrap::limit(limits, "anonymous-calls", limits.auth_calls_per_minute, bootstrap::MINUTE);
        let state = State::new(AppState::new(system, db, anonymous_calls));
        let edge = bootstrap::http_config(&settings, move || rng.uuid_v7(clock.now()));
        let mut app = Self {
            state,
            instance_lock,
            address: SocketAddr::new(settings.http.host, settings.http.port),
            operator_address: settings.http.operator_addr,
            listeners: Vec::new(),
            drain: settings.http.shutdown_timeout,
        };
        if let Err(error) = app.listen(&edge).await {
            app.close(app.drain).await;
            return Err(error);
        }
        Ok(app)
    }

    async fn listen(&mut self, edge: &HttpConfig) -> Result<(), StartError> {
        let site = router::public_routes(routes).hoop(affix_state::inject(self.state.clone()));
        let public = Server::bind(self.address, router::public_service(site, edge), edge.limits).await?;
        self.address = public.address;
        self.listeners.push(run(public));
        if let Some(address) = &mut self.operator_address {
            let site = metrics::router(edge.metrics.clone()).hoop(affix_state::inject(self.state.clone()));
            let operators = Server::bind(*address, router::admin_service(site, edge), edge.limits).await?;
            *address = operators.address;
            self.listeners.push(run(operators));
        }
        Ok(())
    }

    async fn close(&self, within: Duration) {
        self.state.system.tree.stop(within).await;
        self.state.db.close().await;
        self.instance_lock.release();
    }

    /// Where clients reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators reach it, if they do.
    pub fn operator_address(&self) -> Option<SocketAddr> {
        self.operator_address
    }

    /// The actors.
    pub fn tree(&self) -> &SupervisorHandle {
        &self.state.system.tree
    }

    /// The session tracker, whose fail point a test may arm.
    #[cfg(feature = "test-hooks")]
    pub fn sessions(&self) -> &faceofmind_runtime::Handle<faceofmind_domain::sessions::SessionTracker> {
        &self.state.system.sessions
    }

    /// The events that are published from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<PublishedEvent>> {
        self.state.system.events.subscribe()
    }

    /// Waits until an actor has failed too often, and names it.
    pub async fn escalated(&self) -> &'static str {
        self.state.system.tree.clone().escalated().await
    }

    /// Stops in good order: not ready, no new connections, requests finished, actors from the edge inwards, the database last. All of it
    /// takes no longer than `shutdown_timeout_seconds` and a moment.
    pub async fn stop(mut self) {
        let end = Instant::now() + self.drain;
        self.state.stopping.cancel();
        for (handle, _) in &self.listeners {
            handle.stop(self.drain).await;
        }
        for (_, running) in std::mem::take(&mut self.listeners) {
            // Its own words may quote people.
            if running.await.is_err() {
                tracing::error!("a listener did not stop in good order");
            }
        }
        self.close(end.duration_since(Instant::now())).await;
    }
}

fn run(server: Server) -> (ServerHandle, JoinHandle<()>) {
    let handle = server.handle.clone();
    let running = tokio::spawn(async move {
        if let Err(error) = server.run().await {
            tracing::error!(%error, "a listener failed");
        }
    });
    (handle, running)
}

#[cfg(test)]
mod tests;
