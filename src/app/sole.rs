//! An SQLite file has one service: it believes what it has read of log-ins, and another would end them without telling.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::StartError;
use crate::settings::DatabaseUrl;

/// That no other process serves the file. It ends with the process, however that ends; commands beside a service do not ask for it.
pub(super) struct Sole(Option<File>);

impl Sole {
    /// Takes the database, which exists, for this service. A server has as many as want it.
    pub(super) fn service(database: &DatabaseUrl) -> Result<Self, StartError> {
        let DatabaseUrl::Sqlite(path) = database else { return Ok(Self(None)) };
        match lock(path) {
            Ok(file) => Ok(Self(Some(file))),
            Err(TryLockError::WouldBlock) => Err(StartError::Served(path.clone())),
            Err(TryLockError::Error(error)) => {
                Err(StartError::part("DATABASE_URL")(format!("{} cannot be locked: {error}", path.display())))
            }
        }
    }

    /// Lets another service have it.
    pub(super) fn release(&self) {
        if let Some(file) = &self.0 {
            drop(file.unlock());
        }
    }
}

/// On a file beside it: SQLite lets go of its own locks when anybody in the process closes the database's.
fn lock(path: &Path) -> Result<File, TryLockError> {
    let beside = fs::canonicalize(path).map_err(TryLockError::Error)?.with_added_extension("lock");
    let opened: io::Result<File> = OpenOptions::new().append(true).create(true).mode(0o600).open(beside);
    let file = opened.map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}
