//! A JSON object that is written while it is read. It holds no more than one full chunk and one that is being filled.

use std::time::Duration;

use serde::Serialize;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use crate::StoreError;

/// The size of a chunk in bytes; the last value in it may exceed it.
const CHUNK_BYTES: usize = 64 << 10;

/// The slowest reader, in bytes a second, that an export goes on for: half a megabit a second. Only time that the writer waits counts.
const MIN_RATE: u32 = 64 << 10;

/// How long a reader may pause, or lag behind [`MIN_RATE`].
const MAX_LAG: Duration = Duration::from_secs(10);

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportAborted {
    /// The reader has gone.
    #[error("the reader has gone")]
    ReaderGone,
    /// The reader took less than `MIN_RATE` for longer than `MAX_LAG`.
    #[error("the reader is too slow")]
    ReaderTooSlow,
    /// The data could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

enum Chunk {
    More(Vec<u8>),
    Last(Vec<u8>),
}

/// The reader's end.
#[derive(Debug)]
pub struct ExportStream {
    chunks: mpsc::Receiver<Chunk>,
    is_complete: bool,
}

/// The writer stopped before the end: the document is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the document is truncated")]
pub struct Truncated;

impl ExportStream {
    /// Returns the next chunk, or `None` after the last.
    ///
    /// # Errors
    /// [`Truncated`], which must reach the final reader as a broken transfer.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Truncated> {
        if self.is_complete {
            return Ok(None);
        }
        match self.chunks.recv().await.ok_or(Truncated)? {
            Chunk::More(bytes) => Ok(Some(bytes)),
            Chunk::Last(bytes) => {
                self.is_complete = true;
                Ok(Some(bytes))
            }
        }
    }
}

/// The writer's end. A writer that is dropped before [`JsonWriter::close`] leaves its reader with [`Truncated`].
#[derive(Debug)]
pub struct JsonWriter {
    chunk: Vec<u8>,
    is_empty: bool,
    sender: mpsc::Sender<Chunk>,
    /// How much longer the reader may lag.
    patience: Duration,
}

impl JsonWriter {
    /// Returns an object without fields, and its reader's end.
    pub fn open() -> (Self, ExportStream) {
        let (sender, chunks) = mpsc::channel(1);
        let writer = Self { chunk: b"{".to_vec(), is_empty: true, sender, patience: MAX_LAG };
        (writer, ExportStream { chunks, is_complete: false })
    }

    /// Writes a field.
    ///
    /// # Errors
    /// [`ExportAborted`].
    pub async fn field(&mut self, name: &str, value: &impl Serialize) -> Result<(), ExportAborted> {
        self.name(name)?;
        self.write(value)?;
        self.send_full().await
    }

    /// Begins a field that holds an array.
    ///
    /// # Errors
    /// [`ExportAborted`].
    pub fn array(&mut self, name: &str) -> Result<JsonArray<'_>, ExportAborted> {
        self.name(name)?;
        self.chunk.push(b'[');
        Ok(JsonArray { writer: self, is_empty: true })
    }

    /// Ends the object. [`FinalChunk::send`] then sends what is left of it.
    pub fn close(mut self) -> FinalChunk {
        self.chunk.extend_from_slice(b"\n}\n");
        FinalChunk(self)
    }

    fn name(&mut self, name: &str) -> Result<(), ExportAborted> {
        let separator: &[u8] = if std::mem::take(&mut self.is_empty) { b"\n" } else { b",\n" };
        self.chunk.extend_from_slice(separator);
        self.write(&name)?;
        self.chunk.push(b':');
        Ok(())
    }

    fn write(&mut self, value: &impl Serialize) -> Result<(), ExportAborted> {
        Ok(serde_json::to_writer(&mut self.chunk, value).map_err(StoreError::encode)?)
    }

    /// Sends a full chunk.
    async fn send_full(&mut self) -> Result<(), ExportAborted> {
        if self.chunk.len() < CHUNK_BYTES {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES));
        self.send(Chunk::More(full)).await
    }

    /// Waits for the reader, which thereby sets the pace.
    async fn send(&mut self, chunk: Chunk) -> Result<(), ExportAborted> {
        let (Chunk::More(bytes) | Chunk::Last(bytes)) = &chunk;
        let earned = Duration::from_secs(1) * u32::try_from(bytes.len()).unwrap_or(u32::MAX) / MIN_RATE;
        let began = Instant::now();
        let sent = timeout(self.patience, self.sender.send(chunk)).await.map_err(|_| ExportAborted::ReaderTooSlow)?;
        self.patience = (self.patience.saturating_sub(began.elapsed()) + earned).min(MAX_LAG);
        sent.map_err(|_| ExportAborted::ReaderGone)
    }
}

/// An array that is written while it is read, as the whole document.
#[derive(Debug)]
pub struct JsonList(JsonWriter);

impl JsonList {
    /// Returns an empty array, and its reader's end.
    pub fn open() -> (Self, ExportStream) {
        let (mut writer, stream) = JsonWriter::open();
        writer.chunk = b"[".to_vec();
        (Self(writer), stream)
    }

    /// Writes an item.
    ///
    /// # Errors
    /// [`ExportAborted`].
    pub async fn item(&mut self, value: &impl Serialize) -> Result<(), ExportAborted> {
        let mut array = JsonArray { is_empty: self.0.is_empty, writer: &mut self.0 };
        array.item(value).await?;
        self.0.is_empty = false;
        Ok(())
    }

    /// Ends the array. [`FinalChunk::send`] then sends what is left of it.
    pub fn close(mut self) -> FinalChunk {
        self.0.chunk.extend_from_slice(b"\n]\n");
        FinalChunk(self.0)
    }
}

/// The last chunk of a complete document.
#[derive(Debug)]
pub struct FinalChunk(JsonWriter);

impl FinalChunk {
    /// Sends it.
    ///
    /// # Errors
    /// [`ExportAborted::ReaderGone`], [`ExportAborted::ReaderTooSlow`].
    pub async fn send(mut self) -> Result<(), ExportAborted> {
        let chunk = std::mem::take(&mut self.0.chunk);
        self.0.send(Chunk::Last(chunk)).await
    }
}

/// An array that is being written.
#[derive(Debug)]
pub struct JsonArray<'a> {
    writer: &'a mut JsonWriter,
    is_empty: bool,
}

impl JsonArray<'_> {
    /// Writes an item.
    ///
    /// # Errors
    /// [`ExportAborted`].
    pub async fn item(&mut self, value: &impl Serialize) -> Result<(), ExportAborted> {
        let separator: &[u8] = if std::mem::take(&mut self.is_empty) { b"\n" } else { b",\n" };
        self.writer.chunk.extend_from_slice(separator);
        self.writer.write(value)?;
        self.writer.send_full().await
    }

    /// Ends it.
    pub fn close(self) {
        self.writer.chunk.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn read(mut stream: ExportStream) -> (Vec<u8>, Result<(), Truncated>) {
        let mut read = Vec::new();
        loop {
            match stream.next().await {
                Ok(Some(chunk)) => read.extend(chunk),
                Ok(None) => return (read, Ok(())),
                Err(truncated) => return (read, Err(truncated)),
            }
        }
    }

    async fn written(items: usize) -> Result<(), ExportAborted> {
        let (mut writer, stream) = JsonWriter::open();
        let reading = tokio::spawn(read(stream));
        writer.field("a", &"é\"\n").await?;
        let mut array = writer.array("list")?;
        for number in 0..items {
            array.item(&json!({ "number": number, "text": "x".repeat(1000) })).await?;
        }
        array.close();
        writer.array("empty")?.close();
        writer.close().send().await?;
        let (bytes, whole) = reading.await.expect("reads");
        let read: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!((whole, &read["a"], &read["empty"]), (Ok(()), &json!("é\"\n"), &json!([])));
        assert_eq!(read["list"].as_array().map(Vec::len), Some(items));
        Ok(())
    }

    #[tokio::test]
    async fn a_document_is_one_object_whatever_its_length() {
        for items in [0, 1, 2, 500] {
            written(items).await.expect("written");
        }
    }

    #[tokio::test]
    async fn a_list_is_one_array_whatever_its_length() {
        for items in [0, 1, 2, 500] {
            let (mut list, stream) = JsonList::open();
            let reading = tokio::spawn(read(stream));
            for number in 0..items {
                list.item(&json!({ "number": number, "text": "x".repeat(1000) })).await.expect("written");
            }
            list.close().send().await.expect("written");
            let (bytes, whole) = reading.await.expect("reads");
            let read: Vec<Value> = serde_json::from_slice(&bytes).expect("JSON");
            assert_eq!((whole, read.len()), (Ok(()), items));
            assert!(read.iter().enumerate().all(|(number, item)| item["number"] == number));
        }
    }

    #[tokio::test]
    async fn a_writer_that_is_dropped_leaves_a_truncated_document() {
        let (mut writer, stream) = JsonWriter::open();
        writer.field("a", &1).await.expect("written");
        drop(writer);
        assert_eq!(read(stream).await, (Vec::new(), Err(Truncated)));
    }

    #[tokio::test]
    async fn a_writer_waits_for_a_slow_reader_and_stops_when_the_reader_has_gone() {
        let (mut writer, stream) = JsonWriter::open();
        let long = "x".repeat(CHUNK_BYTES);
        writer.field("a", &long).await.expect("one chunk on its way");
        let ahead = tokio::time::timeout(std::time::Duration::from_millis(20), writer.field("b", &long)).await;
        ahead.expect_err("the next waits for the reader");
        drop(stream);
        assert!(matches!(writer.field("c", &long).await, Err(ExportAborted::ReaderGone)));
    }

    /// Writes 40 chunks for a reader that takes one in every `pause`.
    async fn written_for(pause: Duration) -> Result<(), ExportAborted> {
        let (mut writer, mut stream) = JsonWriter::open();
        tokio::spawn(async move {
            while let Ok(Some(_)) = stream.next().await {
                tokio::time::sleep(pause).await;
            }
        });
        for number in 0..40 {
            writer.field(&number.to_string(), &"x".repeat(CHUNK_BYTES)).await?;
        }
        writer.close().send().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_gets_the_document_and_a_slower_one_does_not_hold_it_up() {
        written_for(Duration::from_millis(990)).await.expect("64 KiB a second are enough");
        for pause in [Duration::from_secs(2), Duration::from_secs(60)] {
            let began = Instant::now();
            assert!(matches!(written_for(pause).await, Err(ExportAborted::ReaderTooSlow)));
            assert!(began.elapsed() < MAX_LAG * 3, "{:?}", began.elapsed());
        }
    }
}
