//! HTTP in, messages out: the edge of the service. No SQL and no business rule lives here.
//!
//! Read [`router`] first: which hoops every request passes, and where the resources hang. A resource is one file with
//! its bodies ([`fields::FromFields`]), its endpoints and a `router()`; whatever goes wrong leaves as a
//! [`problem::Problem`].

pub mod answers;
pub mod auth;
pub mod body;
pub mod caller;
pub mod client;
pub mod community;
pub mod cursor;
pub mod docs;
pub mod door;
pub mod fields;
pub mod idempotency;
pub mod kinds;
mod languages;
pub mod layers;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod path;
pub mod problem;
pub mod query;
pub mod ready;
pub mod refusals;
pub mod reminders;
pub mod root;
pub mod router;
pub mod server;
pub mod sessions;
pub mod shared;
pub mod time_zone;
pub mod users;
mod words;

#[cfg(test)]
mod testing;

/// What salvo's derived extractors are described by. Ours read the request by hand and have nothing to say here.
pub(crate) fn no_metadata() -> &'static salvo::extract::Metadata {
    static NOTHING: salvo::extract::Metadata = salvo::extract::Metadata::new("");
    &NOTHING
}
