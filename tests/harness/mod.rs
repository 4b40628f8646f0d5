//! The harness of the black-box tests.
//!
//! | file | content |
//! |---|---|
//! | `both_profiles` | the macros that make tests, and the frame in which each test runs |
//! | `test_app` | the service under test, its clock, its supervisor |
//! | `test_env` | the environment that services share: databases, brokers, mail, clock |
//! | `test_services` | the private servers of `cargo xtask test`, and each test's part of them |
//! | `client`, `response` | HTTP requests; the checks that hold for every response |
//! | `person` | people who register, log in and administer |
//! | `mail`, `logs` | received mails; the captured log |
//! | `files` | the files that a service wrote |
//! | `database` | the stored rows, and the schema of the database |
//! | `detections` | detections at any time |
//! | `statements` | the SQL statements of a request |
//! | `events`, `event_consumer` | the events of a service; a consumer that survives failures |
//! | `event_stream` | server-sent events, as a client reads them |
//! | `asyncapi_schema` | validation of events against `docs/asyncapi.yaml` |
//! | `openapi_headers` | validation of a response's headers against `docs/openapi.json` |
//! | `raw_http` | bytes over a socket, for requests that no HTTP client would send |
//! | `tcp_proxy` | a proxy that makes a server unreachable |
//! | `nats_server` | a nats-server that a test may kill |
//! | `program` | the binary as a process |
//! | `tokens` | tokens, read and forged |
//! | `wait` | waiting for a condition |

pub(crate) mod asyncapi_schema;
mod both_profiles;
mod client;
mod database;
mod detections;
mod event_consumer;
mod event_stream;
mod events;
mod files;
pub(crate) mod logs;
mod mail;
pub(crate) mod nats_server;
pub(crate) mod openapi_headers;
mod person;
mod program;
mod raw_http;
mod response;
mod statements;
mod tcp_proxy;
mod test_app;
mod test_env;
mod test_services;
mod tokens;
mod wait;

pub(crate) use both_profiles::{run_test, tests_on_both_profiles, tests_on_production};
pub(crate) use client::Client;
pub(crate) use database::{RECORDED, owned_by};
pub(crate) use event_consumer::EventConsumer;
pub(crate) use event_stream::{EventStream, Frame};
pub(crate) use events::ReceivedEvent;
pub(crate) use files::{files_below, files_with};
pub(crate) use mail::Mail;
pub(crate) use nats_server::NatsServer;
pub(crate) use person::Person;
pub(crate) use program::{Program, RunningProgram};
pub(crate) use response::{Response, snapshot};
pub(crate) use tcp_proxy::TcpProxy;
pub(crate) use test_app::TestApp;
pub(crate) use test_env::{Profile, TestEnv};
pub(crate) use test_services::Server;
pub(crate) use tokens::Claims;
pub(crate) use wait::{concurrently, eventually};
