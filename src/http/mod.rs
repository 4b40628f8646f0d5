//! The HTTP edge: a request becomes a message to an actor, and the reply becomes the response. No SQL and no business
//! rule lives here.
//!
//! Start with [`router`]: the layers that every request passes, and the routes. A resource is a file or a folder with
//! its request bodies ([`fields`]), its views, its endpoints and a `router()`. An endpoint extracts, authorises, asks
//! an actor and answers. Every error leaves as a [`problem::Problem`]; [`errors`] says which.

mod accept_language;
pub mod auth;
pub mod body;
pub mod caller;
pub mod client;
mod closable_listener;
pub mod community;
pub mod cursor;
pub mod docs;
pub mod errors;
pub mod events;
mod extract;
pub mod fields;
pub mod header;
pub mod idempotency;
pub mod layers;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod path;
pub mod problem;
pub mod query;
pub mod ready;
pub mod reminders;
pub mod request_id;
pub mod responses;
pub mod root;
pub mod router;
pub mod server;
pub mod sessions;
pub mod state;
pub mod time_zone;
pub mod users;
pub mod validators;

#[cfg(test)]
mod testing;
