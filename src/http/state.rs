//! The state that all handlers share.

use std::{any::type_name, ops::Deref, sync::Arc};

use faceofmind_platform::{Platform, rate_limit::Limit};
use faceofmind_runtime::{ConcurrencyLimit, SupervisorHandle};
use faceofmind_system::{ActorSystem, modules::Modules};
use salvo::{
    Depot, Request,
    oapi::{Components, Operation},
};
use tokio_util::sync::CancellationToken;

use super::{
    daily_share::DailyShare,
    extract::extractor,
    probes::{Dependencies, Probes},
    problem::Problem,
};

/// The most histories and lists that are sent page by page at a time. Each holds a page.
const MAX_HISTORIES: usize = 256;
const MAX_HISTORIES_OF_USER: usize = 8;

/// The actors, and what the edge itself needs.
pub struct AppState {
    /// The actors of the modules.
    pub modules: Modules,
    /// The database, the clock and the actors that every module stands on.
    pub platform: Platform,
    /// The supervisor of the actors.
    pub tree: SupervisorHandle,
    /// How many calls without a token one client may make under `/auth`.
    pub anonymous_calls: Limit,
    /// How much one user may send in a day.
    pub daily_share: DailyShare,
    /// Histories and lists that are sent page by page, and wait for their readers.
    pub histories: ConcurrencyLimit,
    /// Whether the dependencies answer.
    pub probes: Probes<Dependencies>,
    /// Whether cookies are sent over TLS alone.
    pub secure_cookies: bool,
    /// Cancelled when the service begins to stop.
    pub stopping: CancellationToken,
}

impl AppState {
    /// The state of a service that is not stopping.
    pub fn new(
        ActorSystem { modules, platform, tree }: ActorSystem,
        anonymous_calls: Limit,
        daily_share: DailyShare,
        secure_cookies: bool,
    ) -> Self {
        let (probes, stopping) = Default::default();
        let histories = ConcurrencyLimit::new("histories", MAX_HISTORIES, MAX_HISTORIES_OF_USER);
        Self { modules, platform, tree, anonymous_calls, daily_share, histories, probes, secure_cookies, stopping }
    }
}

/// A value that all requests share: injected with `salvo::affix_state::inject(State::new(state))` as a hoop of the
/// router, taken by a handler as the argument `state: State<AppState>`. Clones are cheap.
pub struct State<T>(Arc<T>);

impl<T> State<T> {
    /// Shares a value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: Send + Sync + 'static> State<T> {
    /// The shared value, for extractors that need it (`Caller` asks the logins).
    ///
    /// # Errors
    /// 500 when the router does not inject it.
    pub fn of(depot: &Depot) -> Result<Self, Problem> {
        depot.get_typed::<Self>().cloned().map_err(|_| {
            tracing::error!(state = type_name::<T>(), "request failed: state was not injected into the router");
            Problem::internal()
        })
    }

    async fn from_request(_: &Request, depot: &Depot) -> Result<Self, Problem> {
        Self::of(depot)
    }

    fn document(_: &mut Components, _: &mut Operation) {}
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

extractor!([T: Send + Sync + 'static] State<T>);

#[cfg(test)]
mod tests {
    use salvo::{Router, Writer, affix_state, oapi::endpoint, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Served, answer};

    struct App {
        name: &'static str,
    }

    #[endpoint]
    async fn name(app: State<App>) -> Json<&'static str> {
        Json(app.name)
    }

    fn routes() -> Router {
        let here = Router::with_path("here").hoop(affix_state::inject(State::new(App { name: "app" }))).get(name);
        Router::with_path("api").push(here).push(Router::with_path("nowhere").get(name))
    }

    #[tokio::test]
    async fn handlers_get_the_injected_state_and_a_missing_hoop_is_an_internal_error() {
        let api = Served::api(routes).await;
        assert_eq!(answer(api.get("/api/here")).await.json, json!("app"));
        assert_eq!(answer(api.get("/api/nowhere")).await.status, 500);
    }
}
