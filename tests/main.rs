//! The black-box tests: the real service behind real sockets, told as stories. Every story is told twice, on the embedded
//! profile and on the production profile; `cargo xtask test` brings the servers for the latter.

mod harness;

mod actors;
mod asyncapi;
mod auth;
mod chaos;
mod charts;
mod cli;
mod community;
mod cors;
mod deaths;
mod detections;
mod documentation;
mod events;
mod feedback;
mod history;
mod idempotency;
mod keys;
mod mail;
mod nats;
mod openapi;
mod outages;
mod problems;
mod proxies;
mod reminders;
mod root;
mod secrets;
mod sessions;
mod statements;
mod streams;
mod upgrade;
mod users;
