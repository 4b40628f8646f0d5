//! The one place that knows every part: from settings to a service that runs, and back to rest.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use faceofmind_actors::{
    Crew, House, Settings as HouseSettings,
    community::Community,
    exporter::{Exporter, Handle},
    limits::{Limit, Limits},
    publisher::{EventBus, PublishedEvent},
    reminders::Reminders,
    session_tracker::SessionTracker,
    user_registry::UserRegistry,
};
use faceofmind_kit::{Clock, Database, Rng, SupervisorHandle};
use salvo::{Router, affix_state};
use tokio::{sync::broadcast, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    http::{
        auth, community, events, metrics,
        ready::{self, Readiness},
        reminders, root,
        router::{self, Edge},
        server::{Server, Stopper},
        sessions,
        shared::Shared,
        users,
    },
    settings::Settings,
};

mod commands;
mod error;
mod ground;
mod keys;
mod sole;
mod tail;

pub(crate) use commands::{MigrateAction, NewAdmin, create_admin, migrate, serve};
pub use error::StartError;
pub(crate) use keys::{KeysAction, keys};
pub(crate) use tail::tail;

use self::sole::InstanceLock;

/// The slowest part does not keep `/ready` from answering longer than this.
const LOOK: Duration = Duration::from_secs(2);

/// What the edge asks, and how it sees whether all is well.
pub struct Rooms {
    /// Users.
    pub accounts: Handle<UserRegistry>,
    /// Their sessions.
    pub sessions: Handle<SessionTracker>,
    /// The published events.
    pub events: EventBus,
    pub community: Handle<Community>,
    /// What they want to be reminded of.
    pub reminders: Reminders,
    /// All that is held about them.
    pub exporter: Handle<Exporter>,
    /// How often something was tried.
    pub limits: Limits,
    /// How often one client address may call under `/auth` without a token.
    pub anonymous_calls: Limit,
    house: House,
    db: Database,
    sole: InstanceLock,
    stopping: CancellationToken,
}

/// A service that runs. Stop it with [`App::stop`]; dropped, it is cut off.
pub struct App {
    rooms: Shared<Rooms>,
    address: SocketAddr,
    operator_address: Option<SocketAddr>,
    listeners: Vec<(Stopper, JoinHandle<()>)>,
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
        let secrets = ground::secrets(&settings, &rng)?;
        let ground = ground::connect_resources(&settings, &secrets, clock, rng.clone()).await?;
        let db = ground.db.clone();
        ground::check_database(&db).await?;
        let sole = InstanceLock::acquire(&settings.database_url())?;
        faceofmind_actors::schema::migrate(&db).await?;
        let clock = ground.clock.clone();
        let bounds: HouseSettings = ground::actor_settings(&settings, secrets);
        let house = House::start(ground, bounds, Crew::All).await.map_err(StartError::Actors)?;
        let rooms = Shared::new(Rooms::new(&settings, house, db, sole));
        let edge = ground::http_config(&settings, move || rng.uuid_v7(clock.now()));
        let listening = Self::listen(&settings, rooms.clone(), edge).await;
        if listening.is_err() {
            rooms.close(settings.http.shutdown_timeout).await;
        }
        listening
    }

    async fn listen(settings: &Settings, rooms: Shared<Rooms>, edge: Edge) -> Result<Self, StartError> {
        let site = router::site(routes).hoop(affix_state::inject(rooms.clone()));
        let address = SocketAddr::new(settings.http.host, settings.http.port);
        let public = Server::bind(address, router::service(site, &edge), edge.limits).await?;
        let (address, mut listeners) = (public.address, vec![run(public)]);
        let mut operator_address = None;
        if let Some(wanted) = settings.http.operator_addr {
            let site = metrics::router(edge.metrics.clone()).hoop(affix_state::inject(rooms.clone()));
            let operators = Server::bind(wanted, router::operators(site, &edge), edge.limits).await?;
            operator_address = Some(operators.address);
            listeners.push(run(operators));
        }
        Ok(Self { rooms, address, operator_address, listeners, drain: settings.http.shutdown_timeout })
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
        &self.rooms.house.tree
    }

    /// The session tracker, whose fail point a test may arm.
    #[cfg(feature = "test-hooks")]
    pub fn sessions(&self) -> &Handle<SessionTracker> {
        &self.rooms.sessions
    }

    /// The events that are published from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<PublishedEvent>> {
        self.rooms.events.subscribe()
    }

    /// Waits until an actor has failed too often, and names it.
    pub async fn escalated(&self) -> &'static str {
        self.rooms.house.tree.clone().escalated().await
    }

    /// Stops in good order: not ready, no new connections, requests finished, actors from the edge inwards, the database last. All of it
    /// takes no longer than `shutdown_timeout_seconds` and a moment.
    pub async fn stop(self) {
        let end = Instant::now() + self.drain;
        self.rooms.stopping.cancel();
        for (stopper, _) in &self.listeners {
            stopper.stop(self.drain).await;
        }
        for (_, running) in self.listeners {
            // Its own words may quote people.
            if running.await.is_err() {
                tracing::error!("a listener did not stop in good order");
            }
        }
        self.rooms.close(end.duration_since(Instant::now())).await;
    }
}

fn run(server: Server) -> (Stopper, JoinHandle<()>) {
    let stopper = server.stopper.clone();
    let running = tokio::spawn(async move {
        if let Err(error) = server.run().await {
            tracing::error!(%error, "a listener failed");
        }
    });
    (stopper, running)
}

impl Rooms {
    fn new(settings: &Settings, house: House, db: Database, sole: InstanceLock) -> Self {
        let (limits, minute) = (&settings.limits, Duration::from_secs(60));
        Self {
            accounts: house.accounts.clone(),
            sessions: house.sessions.clone(),
            events: house.events.clone(),
            community: house.community.clone(),
            reminders: house.reminders.clone(),
            exporter: house.exporter.clone(),
            limits: house.limits.clone(),
            anonymous_calls: ground::limit(limits, "anonymous-calls", limits.auth_calls_per_minute, minute),
            house,
            db,
            sole,
            stopping: CancellationToken::new(),
        }
    }

    async fn close(&self, within: Duration) {
        self.house.tree.stop(within).await;
        self.db.close().await;
        self.sole.release();
    }

    /// All rooms, for those who watch.
    pub fn house(&self) -> &House {
        &self.house
    }

    /// The database.
    pub fn db(&self) -> &Database {
        &self.db
    }

    /// Waits until the service is told to stop: for what would go on without an end.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        self.stopping.clone().cancelled_owned()
    }

    /// Whether the service can serve, part by part.
    pub async fn readiness(&self) -> Readiness {
        let publisher = async { self.house.publisher.status().await.is_ok_and(|status| status.is_up()) };
        let (database, codes, mail, events) = tokio::join!(
            within(self.db.is_up()),
            within(self.house.codes.is_up()),
            within(self.house.transport.is_up()),
            within(publisher),
        );
        let serving = database && !self.stopping.is_cancelled();
        let status = match (serving, codes && mail && events) {
            (false, _) => "unavailable",
            (true, false) => "degraded",
            (true, true) => "ready",
        };
        let word = |up| if up { "up" } else { "down" };
        Readiness { status, database: word(database), codes: word(codes), events: word(events), mail: word(mail) }
    }
}

async fn within(look: impl Future<Output = bool>) -> bool {
    tokio::time::timeout(LOOK, look).await.unwrap_or(false)
}

#[cfg(test)]
mod tests;
