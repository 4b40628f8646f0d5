//! Only one process may serve an SQLite file: a service caches who is logged in, and it does not hear of log-outs on another one.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::StartError;
use crate::settings::DatabaseUrl;

/// Keeps other processes from serving the same SQLite file. The operating system releases it when the process ends. Commands that run beside
/// a service do not need it.
pub(super) struct InstanceLock(Option<File>);

impl InstanceLock {
    /// Locks an existing database for this service. A database server is not locked, since several nodes may share it.
    pub(super) fn acquire(database: &DatabaseUrl) -> Result<Self, StartError> {
        let DatabaseUrl::Sqlite(path) = database else { return Ok(Self(None)) };
        match lock(path) {
            Ok(file) => Ok(Self(Some(file))),
            Err(TryLockError::WouldBlock) => Err(StartError::Served(path.clone())),
            Err(TryLockError::Error(error)) => {
                Err(StartError::part("DATABASE_URL")(format!("{} cannot be locked: {error}", path.display())))
            }
        }
    }

    /// Lets another service take the lock.
    pub(super) fn release(&self) {
        if let Some(file) = &self.0 {
            drop(file.unlock());
        }
    }
}

/// Locks a file beside the database. SQLite releases its own locks when the process closes any handle of the database file.
fn lock(path: &Path) -> Result<File, TryLockError> {
    let lock_file = fs::canonicalize(path).map_err(TryLockError::Error)?.with_added_extension("lock");
    let opened: io::Result<File> = OpenOptions::new().append(true).create(true).mode(0o600).open(lock_file);
    let file = opened.map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}
