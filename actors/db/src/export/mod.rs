//! JSON documents that are written while they are read, table by table.

mod json_writer;
mod table;

pub use json_writer::{ExportAborted, ExportStream, FinalChunk, JsonArray, JsonList, JsonWriter, Truncated};
pub use table::{PAGE_SIZE, read_page, write_table};
