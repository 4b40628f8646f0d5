//! The HTTP edge: a request becomes a message to an actor, and the reply becomes the response. No SQL and no business
//! rule lives here.
//!
//! Start with [`edge`], which every request passes, and [`router`], the routes. A resource is a file or a folder with
//! its request bodies ([`fields`]), its views, its endpoints and a `router()`. An endpoint extracts, authorises, asks
//! an actor and answers. Every error leaves as a [`problem::Problem`]; [`errors`] says which.

use salvo::Router;

mod accept_language;
pub mod auth;
pub mod body;
pub mod caller;
pub mod client;
pub mod community;
pub mod connections;
pub mod cursor;
pub mod daily_share;
pub mod docs;
pub mod edge;
pub mod errors;
pub mod events;
mod extract;
pub mod fields;
mod fixed_page;
pub mod header;
mod helplines;
pub mod idempotency;
pub mod long_page;
mod mail_link;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod path;
mod place;
pub mod probes;
pub mod problem;
mod problem_type;
pub mod query;
pub mod ready;
pub mod reminders;
pub mod request_id;
pub mod responses;
pub mod root;
pub mod router;
mod sampling;
pub mod server;
pub mod sessions;
pub mod state;
pub mod time_zone;
pub mod users;
pub mod validators;

#[cfg(test)]
mod testing;

/// The documented routes, without state, because the OpenAPI document is made of them too.
pub fn routes() -> Router {
    let mut resources = vec![auth::router(), users::router(), sessions::router(), community::router()];
    resources.extend([reminders::router(), events::router()]);
    let api = Router::with_path("api/v1").append(&mut resources);
    Router::new().push(root::router()).push(ready::router()).push(api)
}
