//! A JSON object that is written while it is read. No more of it is held than a piece on its way and one being filled.

use faceofmind_kit::Failure;
use serde::Serialize;
use tokio::sync::mpsc;

/// Bytes in a piece, about.
const PIECE: usize = 64 << 10;

/// Why a document ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum CutShort {
    /// Nobody reads it any more.
    #[error("its reader is gone")]
    ReaderGone,
    /// What was to stand in it could not be read.
    #[error(transparent)]
    Failed(#[from] Failure),
}

enum Piece {
    More(Vec<u8>),
    Last(Vec<u8>),
}

/// The reader's end.
#[derive(Debug)]
pub struct Pieces(mpsc::Receiver<Piece>, bool);

/// The writer never came to the end: what was read is not the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the document was cut short")]
pub struct Incomplete;

impl Pieces {
    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// [`Incomplete`], which whoever passes the pieces on has to pass on as well.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Incomplete> {
        let Self(pieces, is_whole) = self;
        if *is_whole {
            return Ok(None);
        }
        match pieces.recv().await.ok_or(Incomplete)? {
            Piece::More(bytes) => Ok(Some(bytes)),
            Piece::Last(bytes) => {
                *is_whole = true;
                Ok(Some(bytes))
            }
        }
    }
}

/// The writer's end. One that is dropped without [`Document::close`] leaves its reader with [`Incomplete`].
#[derive(Debug)]
pub struct Document {
    piece: Vec<u8>,
    is_empty: bool,
    out: mpsc::Sender<Piece>,
}

impl Document {
    /// An object without a field yet, and where it is read.
    pub fn open() -> (Self, Pieces) {
        let (out, pieces) = mpsc::channel(1);
        (Self { piece: b"{".to_vec(), is_empty: true, out }, Pieces(pieces, false))
    }

    /// Writes a field.
    ///
    /// # Errors
    /// [`CutShort`].
    pub async fn field(&mut self, name: &str, value: &impl Serialize) -> Result<(), CutShort> {
        self.name(name)?;
        self.write(value)?;
        self.send_full().await
    }

    /// Begins a field that is a list.
    ///
    /// # Errors
    /// [`CutShort`].
    pub fn list(&mut self, name: &str) -> Result<List<'_>, CutShort> {
        self.name(name)?;
        self.piece.push(b'[');
        Ok(List { document: self, is_empty: true })
    }

    /// Ends the object. What is left of it goes out with [`Ending::send`].
    pub fn close(mut self) -> Ending {
        self.piece.extend_from_slice(b"\n}\n");
        Ending(self)
    }

    fn name(&mut self, name: &str) -> Result<(), CutShort> {
        let before: &[u8] = if std::mem::take(&mut self.is_empty) { b"\n" } else { b",\n" };
        self.piece.extend_from_slice(before);
        self.write(&name)?;
        self.piece.push(b':');
        Ok(())
    }

    fn write(&mut self, value: &impl Serialize) -> Result<(), CutShort> {
        let written = serde_json::to_writer(&mut self.piece, value);
        Ok(written.map_err(|error| Failure::Store(sqlx::Error::Encode(error.into())))?)
    }

    /// Waits for the reader, who so sets the pace.
    async fn send_full(&mut self) -> Result<(), CutShort> {
        if self.piece.len() < PIECE {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.out.send(Piece::More(full)).await.map_err(|_| CutShort::ReaderGone)
    }
}

/// The last piece of a whole document.
#[derive(Debug)]
pub struct Ending(Document);

impl Ending {
    /// Sends it.
    ///
    /// # Errors
    /// [`CutShort::ReaderGone`].
    pub async fn send(self) -> Result<(), CutShort> {
        let Document { piece, out, .. } = self.0;
        out.send(Piece::Last(piece)).await.map_err(|_| CutShort::ReaderGone)
    }
}

/// A list that is being written.
#[derive(Debug)]
pub struct List<'a> {
    document: &'a mut Document,
    is_empty: bool,
}

impl List<'_> {
    /// Writes an item.
    ///
    /// # Errors
    /// [`CutShort`].
    pub async fn item(&mut self, value: &impl Serialize) -> Result<(), CutShort> {
        let before: &[u8] = if std::mem::take(&mut self.is_empty) { b"\n" } else { b",\n" };
        self.document.piece.extend_from_slice(before);
        self.document.write(value)?;
        self.document.send_full().await
    }

    /// Ends it.
    pub fn close(self) {
        self.document.piece.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn read(mut pieces: Pieces) -> (Vec<u8>, Result<(), Incomplete>) {
        let mut read = Vec::new();
        loop {
            match pieces.next().await {
                Ok(Some(piece)) => read.extend(piece),
                Ok(None) => return (read, Ok(())),
                Err(incomplete) => return (read, Err(incomplete)),
            }
        }
    }

    async fn written(items: usize) -> Result<(), CutShort> {
        let (mut document, pieces) = Document::open();
        let reading = tokio::spawn(read(pieces));
        document.field("a", &"é\"\n").await?;
        let mut list = document.list("list")?;
        for number in 0..items {
            list.item(&json!({ "number": number, "text": "x".repeat(1000) })).await?;
        }
        list.close();
        document.list("empty")?.close();
        document.close().send().await?;
        let (bytes, whole) = reading.await.expect("reads");
        let read: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!((whole, &read["a"], &read["empty"]), (Ok(()), &json!("é\"\n"), &json!([])));
        assert_eq!(read["list"].as_array().map(Vec::len), Some(items));
        Ok(())
    }

    #[tokio::test]
    async fn what_is_written_is_one_object_whatever_its_length() {
        for items in [0, 1, 2, 500] {
            written(items).await.expect("written");
        }
    }

    #[tokio::test]
    async fn a_writer_who_goes_leaves_an_incomplete_document() {
        let (mut document, pieces) = Document::open();
        document.field("a", &1).await.expect("written");
        drop(document);
        assert_eq!(read(pieces).await, (Vec::new(), Err(Incomplete)));
    }

    #[tokio::test]
    async fn nobody_writes_for_a_reader_who_is_gone_or_far_ahead_of_a_slow_one() {
        let (mut document, pieces) = Document::open();
        let long = "x".repeat(PIECE);
        document.field("a", &long).await.expect("one piece on its way");
        let ahead = tokio::time::timeout(std::time::Duration::from_millis(20), document.field("b", &long)).await;
        ahead.expect_err("the next waits for the reader");
        drop(pieces);
        assert!(matches!(document.field("c", &long).await, Err(CutShort::ReaderGone)));
    }
}
