//! A listener that can be closed while its connections continue: new connections are refused at once, and those that
//! have not sent anything are closed. salvo alone keeps the socket open, and waits for silent connections, until all
//! others have ended.

use std::{
    future::pending,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use salvo::{
    conn::{
        Accepted, Acceptor, Holding,
        tcp::{TcpAcceptor, TcpCoupler},
    },
    fuse::ArcFusePolicy,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A listener that can be closed.
pub(super) struct ClosableListener {
    open: Option<TcpAcceptor>,
    holdings: Vec<Holding>,
    shutdown: ShutdownSignal,
}

/// Closes a listener.
#[derive(Clone, Default)]
pub(super) struct ShutdownSignal {
    requested: CancellationToken,
    closed: CancellationToken,
}

impl ShutdownSignal {
    /// Asks the listener to close its socket and its silent connections.
    pub(super) fn request(&self) {
        self.requested.cancel();
    }

    /// Waits until the socket is closed.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

impl ClosableListener {
    pub(super) fn new(acceptor: TcpAcceptor) -> (Self, ShutdownSignal) {
        let shutdown = ShutdownSignal::default();
        let holdings = acceptor.holdings().to_vec();
        (Self { holdings, open: Some(acceptor), shutdown: shutdown.clone() }, shutdown)
    }
}

impl Acceptor for ClosableListener {
    type Coupler = TcpCoupler<Self::Stream>;
    type Stream = TrackedStream<<TcpAcceptor as Acceptor>::Stream>;

    fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    async fn accept(&mut self, policy: Option<ArcFusePolicy>) -> io::Result<Accepted<Self::Coupler, Self::Stream>> {
        let Some(acceptor) = &mut self.open else { return pending().await };
        let accepted = tokio::select! {
            accepted = acceptor.accept(policy) => accepted?,
            () = self.shutdown.requested.cancelled() => {
                self.open = None;
                self.shutdown.closed.cancel();
                return pending().await;
            }
        };
        let shutdown = Box::pin(self.shutdown.requested.clone().cancelled_owned());
        Ok(Accepted {
            coupler: TcpCoupler::new(),
            stream: TrackedStream { stream: accepted.stream, shutdown, received_bytes: false },
            fuse_config: accepted.fuse_config,
            conn_ctrl: accepted.conn_ctrl,
            local_addr: accepted.local_addr,
            remote_addr: accepted.remote_addr,
            http_scheme: accepted.http_scheme,
        })
    }
}

/// A connection that ends when the listener closes before the client has sent anything.
pub(super) struct TrackedStream<S> {
    stream: S,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    received_bytes: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for TrackedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.received_bytes |= buffer.filled().len() > before;
        if read.is_pending() && !self.received_bytes && self.shutdown.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TrackedStream<S> {
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
