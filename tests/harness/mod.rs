//! What stories are told with.
//!
//! | file | what |
//! |---|---|
//! | `both_profiles` | `tests_on_both_profiles!`, and the frame in which each test runs |
//! | `test_app` | a service of the story's own, its clock, its tree |
//! | `ground` | what a service stands on: databases, brokers, mail, each the story's own |
//! | `servers` | the private servers of `cargo xtask test` |
//! | `client`, `answer` | HTTP as an app speaks it; what holds for every answer is checked on every answer |
//! | `people` | those who register, log in and administer |
//! | `mail`, `events`, `rows`, `logs` | what came out of the service, and what it keeps |
//! | `detections` | detections at moments of the story's choice |
//! | `statements` | how many statements a request takes |
//! | `raw` | bytes over a socket, for requests that no client would send |
//! | `relay` | a wire to a server that can be cut |
//! | `nats_server` | a nats-server of the story's own, to be killed |
//! | `sibling` | a service that reads the stream, whatever breaks |
//! | `program` | the binary as a process |
//! | `told` | the AsyncAPI document, and events held against it |
//! | `streams` | an event stream as a reader sees it |
//! | `tokens` | tokens as others read and forge them |

pub(crate) mod asyncapi_schema;
mod both_profiles;
mod client;
mod detections;
mod event_consumer;
mod events;
pub(crate) mod logs;
mod mail;
mod nats_server;
mod people;
mod program;
mod raw;
mod response;
mod rows;
mod statements;
mod streams;
mod tcp_proxy;
mod test_app;
mod test_env;
mod test_services;
mod tokens;
mod wait;

pub(crate) use both_profiles::{run_test, tests_on_both_profiles, tests_on_production};
pub(crate) use client::Client;
pub(crate) use event_consumer::{EventConsumer, Message};
pub(crate) use mail::Mail;
pub(crate) use nats_server::NatsServer;
pub(crate) use people::Person;
pub(crate) use program::{Program, Serving};
pub(crate) use response::{Response, snapshot};
pub(crate) use rows::RECORDED;
pub(crate) use streams::{Frame, Stream};
pub(crate) use tcp_proxy::TcpProxy;
pub(crate) use test_app::TestApp;
pub(crate) use test_env::Profile;
pub(crate) use test_services::Server;
pub(crate) use tokens::Claims;
pub(crate) use wait::{concurrently, eventually};
