//! Everything held about a user, as one JSON document: a consistent view, written as fast as its reader takes it.
//!
//! The actor owns the exports in progress: how many there may be, and how long each may take. It owns no table: each module writes what it
//! holds ([`crate::modules`]).

mod actor;
mod contents;
mod messages;

pub use actor::{Exporter, Settings, Status};
pub use contents::{ExportInput, ModuleExport};
pub use messages::{Export, ExportError};
