//! The door of a listener, which can be shut before the house is empty: whoever comes is refused at once, whoever came and has said
//! nothing is let go, and whoever is being served stays. salvo alone keeps the socket open, and waits for the silent, until all are gone.

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

/// A listener that can be shut.
pub struct Door {
    open: Option<TcpAcceptor>,
    holdings: Vec<Holding>,
    latch: Latch,
}

/// Shuts a door.
#[derive(Clone, Default)]
pub struct Latch {
    shutting: CancellationToken,
    shut: CancellationToken,
}

impl Latch {
    /// Has the socket closed and those who have said nothing let go.
    pub(super) fn shut(&self) {
        self.shutting.cancel();
    }

    /// Waits until the socket is closed.
    pub(super) async fn is_shut(&self) {
        self.shut.cancelled().await;
    }
}

impl Door {
    pub(super) fn new(acceptor: TcpAcceptor) -> (Self, Latch) {
        let latch = Latch::default();
        (Self { holdings: acceptor.holdings().to_vec(), open: Some(acceptor), latch: latch.clone() }, latch)
    }
}

impl Acceptor for Door {
    type Coupler = TcpCoupler<Self::Stream>;
    type Stream = Guest<<TcpAcceptor as Acceptor>::Stream>;

    fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    async fn accept(&mut self, policy: Option<ArcFusePolicy>) -> io::Result<Accepted<Self::Coupler, Self::Stream>> {
        let Some(acceptor) = &mut self.open else { return pending().await };
        let accepted = tokio::select! {
            accepted = acceptor.accept(policy) => accepted?,
            () = self.latch.shutting.cancelled() => {
                self.open = None;
                self.latch.shut.cancel();
                return pending().await;
            }
        };
        let shutting = Box::pin(self.latch.shutting.clone().cancelled_owned());
        Ok(Accepted {
            coupler: TcpCoupler::new(),
            stream: Guest { stream: accepted.stream, shutting, has_spoken: false },
            fuse_config: accepted.fuse_config,
            conn_ctrl: accepted.conn_ctrl,
            local_addr: accepted.local_addr,
            remote_addr: accepted.remote_addr,
            http_scheme: accepted.http_scheme,
        })
    }
}

/// A connection that counts as closed by the client if the door is shut before the client has said anything.
pub struct Guest<S> {
    stream: S,
    shutting: Pin<Box<WaitForCancellationFutureOwned>>,
    has_spoken: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for Guest<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.has_spoken |= buffer.filled().len() > before;
        if read.is_pending() && !self.has_spoken && self.shutting.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guest<S> {
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
