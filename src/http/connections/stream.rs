//! The bytes of a connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::open::Listed;

/// A connection that ends, while no request is in progress, when it is asked to close or when the head of a request does not arrive in time.
/// The time of the first head begins with the connection, that of a later one with its first byte: hyper's own limit begins with the end of the
/// response before, and would close connections that a proxy keeps to use again.
pub(in crate::http) struct TrackedStream {
    stream: TcpStream,
    listed: Listed,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    head_timeout: Duration,
    /// The end of that time, with the number of the head.
    head_deadline: Option<(usize, Pin<Box<Sleep>>)>,
    /// The number of the head that the last bytes were part of.
    receiving: Option<usize>,
}

/// The first bytes of HTTP/2 (RFC 9113 §3.4). No method of HTTP/1.1 begins so.
const HTTP2_PREFACE: &[u8] = b"PRI ";

impl TrackedStream {
    pub(super) fn new(stream: TcpStream, listed: Listed, head_timeout: Duration) -> Self {
        let closing = Box::pin(listed.closing.clone().cancelled_owned());
        Self { stream, listed, closing, head_timeout, head_deadline: None, receiving: None }
    }

    fn note(&mut self, bytes: &[u8]) {
        if self.receiving.is_none() && bytes.starts_with(HTTP2_PREFACE) {
            self.listed.connection.expect_http2();
        }
        if !bytes.is_empty() && self.listed.connection.is_idle() {
            self.receiving = Some(self.listed.connection.begun());
        }
    }

    fn must_end(&mut self, cx: &mut Context<'_>) -> bool {
        self.listed.connection.is_idle() && (self.head_is_late(cx) || self.closing.as_mut().poll(cx).is_ready())
    }

    fn head_is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let begun = self.listed.connection.begun();
        let is_expected = begun == 0 || self.receiving == Some(begun);
        if self.listed.connection.is_http2() || !is_expected {
            self.head_deadline = None;
            return false;
        }
        let timeout = self.head_timeout;
        let (_, deadline) = match &mut self.head_deadline {
            Some(current) if current.0 == begun => current,
            other => other.insert((begun, Box::pin(sleep(timeout)))),
        };
        deadline.as_mut().poll(cx).is_ready()
    }
}

/// A response that ended before its end closes the connection by a reset. In HTTP/1.0 a clean end would be that of the response.
impl Drop for TrackedStream {
    fn drop(&mut self) {
        if self.listed.connection.is_cut() {
            drop(self.stream.set_zero_linger());
        }
    }
}

impl AsyncRead for TrackedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.note(&buffer.filled()[before..]);
        // Without bytes and without an error, the connection ends.
        if read.is_pending() && self.must_end(cx) { Poll::Ready(Ok(())) } else { read }
    }
}

impl AsyncWrite for TrackedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
