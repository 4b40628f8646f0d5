//! The black-box tests: the real service behind real sockets. Most tests run twice, on the embedded profile and on the
//! production profile. `cargo xtask test` starts the servers of the latter.

mod harness;

mod actor_restarts;
mod adoption;
mod asyncapi;
mod auth;
mod chaos;
mod charts;
mod cli;
mod community;
mod cors;
mod detections;
mod documentation;
mod events;
mod feedback;
mod generated;
mod history;
mod http;
mod idempotency;
mod key_rotation;
mod mail;
mod nats;
mod openapi;
mod outages;
mod paths;
mod problems;
mod proxies;
mod reminders;
mod root;
mod secrets;
mod sessions;
mod settings;
mod statements;
mod streams;
mod tracker_crash;
mod upgrade;
mod users;
