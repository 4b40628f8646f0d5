//! How actors live, knowing nothing of FaceofMind.
//!
//! | piece | what it gives |
//! |---|---|
//! | [`Actor`], [`Address`], [`Reply`] | an actor, the one way to ask it, and how it answers |
//! | [`Supervisor`] | one-for-one restarts with backoff and an intensity limit, and the tree's snapshot |
//! | [`Errands`], [`Batch`] | work beside the mailbox; many letters in one write |
//! | [`Database`], [`Tx`], [`on!`], [`Padded`] | one set of SQL on PostgreSQL and SQLite, over any number of rows |
//! | [`lease`] | one leader among several nodes, by a row |
//! | [`panics`] | what may be told of a panic |
//! | [`Clock`], [`Rng`], [`Timestamp`] | time and chance, which come in from outside |

pub mod actor;
pub mod address;
pub mod backoff;
pub mod batch;
pub mod clock;
pub mod db;
pub mod errands;
pub mod failure;
pub mod ids;
pub mod lease;
pub mod padded;
pub mod panics;
pub mod rng;
pub mod supervisor;
pub mod timestamp;

pub use actor::{Actor, Permit};
pub use address::{Address, Reply};
pub use backoff::Backoff;
pub use batch::{Batch, FlightNumber};
pub use clock::Clock;
pub use db::{Connection, Database, Reader, Tx};
pub use errands::Errands;
pub use failure::Failure;
pub use padded::Padded;
pub use rng::Rng;
pub use supervisor::{Child, ChildStatus, Supervisor, SupervisorHandle};
pub use timestamp::Timestamp;
