//! How actors live, knowing nothing of FaceofMind.
//!
//! | piece | what it gives |
//! |---|---|
//! | [`Actor`], [`Address`], [`Reply`] | an actor, the one way to ask it, and how it answers |
//! | [`Supervisor`] | one-for-one restarts with backoff and an intensity limit, and the tree's snapshot |
//! | [`Errands`], [`Batch`] | work beside the mailbox; many letters in one write |
//! | [`Database`], [`Tx`], [`on!`], [`Padded`] | one set of SQL on PostgreSQL and SQLite, over any number of rows |
//! | [`Snapshot`] | what the database holds at one moment, for those who read for long |
//! | [`lease`] | one leader among several nodes, by a row |
//! | [`Clock`], [`Rng`] | time and chance, which come in from outside |
//! | [`Timestamp`], [`CivilDate`], [`id!`] | columns that both databases read and write alike |

pub mod actor;
pub mod address;
pub mod backoff;
pub mod batch;
pub mod civil_date;
pub mod clock;
pub mod db;
pub mod errands;
pub mod failure;
pub mod ids;
pub mod lease;
pub mod padded;
pub mod rng;
pub mod snapshot;
pub mod supervisor;
pub mod timestamp;

pub use actor::{Actor, Permit};
pub use address::{Address, Reply};
pub use backoff::Backoff;
pub use batch::{Batch, FlightNumber};
pub use civil_date::CivilDate;
pub use clock::Clock;
pub use db::{Connection, Database, Reader, Tx};
pub use errands::Errands;
pub use failure::Failure;
pub use padded::Padded;
pub use rng::Rng;
pub use snapshot::Snapshot;
pub use supervisor::{Child, ChildStatus, Supervisor, SupervisorHandle};
pub use timestamp::Timestamp;
