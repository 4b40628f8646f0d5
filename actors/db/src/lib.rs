//! SQLite and PostgreSQL behind one transaction type.
//!
//! | piece | what it gives |
//! |---|---|
//! | [`Database`], [`Tx`], [`ReadConn`], [`with_conn!`] | one set of SQL on both databases |
//! | [`BulkStatement`] | one statement over any number of rows |
//! | [`Snapshot`], [`export`] | a consistent view for long reads; JSON written while it is read |
//! | [`adoption`] | databases of the predecessor |
//! | [`migrations`] | the schema, built into the binary |
//! | [`lease`] | one leader among several nodes, by a row |
//! | [`StoreError`] | why the database did not do what was asked |

#![warn(missing_docs)]

pub mod adoption;
pub mod bulk;
mod concurrent_index;
pub mod connection;
pub mod database;
pub mod error;
pub mod executor;
pub mod export;
mod health;
pub mod lease;
mod lock_wait;
pub mod migrations;
mod own_connection;
pub mod snapshot;
mod vacuum;

pub use bulk::{BulkStatement, MAX_ROWS, pad_with_nulls};
pub use connection::{Connection, ReadConn, StatementState, Tx};
pub use database::{Database, PoolSettings};
pub use error::StoreError;
pub use snapshot::Snapshot;
