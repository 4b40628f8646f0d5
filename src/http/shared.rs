//! How handlers reach what the whole program shares.

use std::{any::type_name, fmt::Debug, ops::Deref, sync::Arc};

use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    oapi::{Components, EndpointArgRegister, Operation},
};

use super::{no_metadata, problem::Problem};

/// One value for all requests: put in with `salvo::affix_state::inject(Shared::new(app))` as a hoop of the router,
/// taken out as an argument `app: Shared<App>`. A copy costs a counter.
pub struct Shared<T>(Arc<T>);

impl<T> Shared<T> {
    /// Shares a value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: Send + Sync + 'static> Shared<T> {
    /// The shared value, for extractors that need it (`Caller` asks the logins).
    ///
    /// # Errors
    /// 500 when the router was built without it.
    pub fn of(depot: &Depot) -> Result<Self, Problem> {
        depot.get_typed::<Self>().cloned().map_err(|_| {
            tracing::error!(shared = type_name::<T>(), "the router lacks a hoop that injects this");
            Problem::internal()
        })
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'ex, T: Send + Sync + 'static> Extractible<'ex> for Shared<T> {
    fn metadata() -> &'static Metadata {
        no_metadata()
    }

    async fn extract(
        _req: &'ex mut Request,
        depot: &'ex mut Depot,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Self::of(depot)
    }
}

impl<T> EndpointArgRegister for Shared<T> {
    fn register(_: &mut Components, _: &mut Operation, _: &str) {}
}

#[cfg(test)]
mod tests {
    use salvo::{Router, affix_state, oapi::endpoint, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Served, answer};

    struct App {
        name: &'static str,
    }

    #[endpoint]
    async fn name(app: Shared<App>) -> Json<&'static str> {
        Json(app.name)
    }

    fn routes() -> Router {
        let here = Router::with_path("here").hoop(affix_state::inject(Shared::new(App { name: "app" }))).get(name);
        Router::with_path("api").push(here).push(Router::with_path("nowhere").get(name))
    }

    #[tokio::test]
    async fn handlers_get_what_the_router_shares_and_a_forgotten_hoop_is_our_fault() {
        let api = Served::api(routes).await;
        assert_eq!(answer(api.get("/api/here")).await.json, json!("app"));
        assert_eq!(answer(api.get("/api/nowhere")).await.status, 500);
    }
}
