//! A listener that can be closed while its connections continue: new connections are refused at once, and those that
//! have not sent anything are closed. salvo alone keeps the socket open, and waits for silent connections, until all
//! others have ended.

use std::{future::pending, io, sync::Arc, time::Duration};

use salvo::{
    conn::{
        Accepted, Acceptor, Holding,
        tcp::{TcpAcceptor, TcpCoupler},
    },
    fuse::ArcFusePolicy,
};
use tokio_util::sync::CancellationToken;

use super::{open::OpenConnections, stream::TrackedStream};

/// A listener that can be closed.
pub(in crate::http) struct ClosableListener {
    open: Option<TcpAcceptor>,
    holdings: Vec<Holding>,
    connections: Arc<OpenConnections>,
    head_timeout: Duration,
    shutdown: ShutdownSignal,
}

/// Closes a listener.
#[derive(Clone, Default)]
pub(in crate::http) struct ShutdownSignal {
    requested: CancellationToken,
    closed: CancellationToken,
    silent: CancellationToken,
}

impl ShutdownSignal {
    /// Asks the listener to close its socket.
    pub(in crate::http) fn request(&self) {
        self.requested.cancel();
    }

    /// Closes the connections without a request in progress.
    pub(in crate::http) fn close_silent(&self) {
        self.silent.cancel();
    }

    /// Waits until the socket is closed.
    pub(in crate::http) async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

impl ClosableListener {
    pub(in crate::http) fn new(
        acceptor: TcpAcceptor,
        connections: Arc<OpenConnections>,
        head_timeout: Duration,
    ) -> (Self, ShutdownSignal) {
        let shutdown = ShutdownSignal::default();
        let holdings = acceptor.holdings().to_vec();
        (Self { holdings, open: Some(acceptor), connections, head_timeout, shutdown: shutdown.clone() }, shutdown)
    }
}

impl Acceptor for ClosableListener {
    type Coupler = TcpCoupler<Self::Stream>;
    type Stream = TrackedStream;

    fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    async fn accept(&mut self, policy: Option<ArcFusePolicy>) -> io::Result<Accepted<Self::Coupler, Self::Stream>> {
        let Some(acceptor) = &mut self.open else { return pending().await };
        let accepted = tokio::select! {
            // Clients that are connected and not yet accepted are served. Closing the socket would reset them.
            biased;
            accepted = acceptor.accept(policy) => accepted?,
            () = self.shutdown.requested.cancelled() => {
                self.open = None;
                self.shutdown.closed.cancel();
                return pending().await;
            }
        };
        let peer = accepted.remote_addr.clone().into_std();
        let listed = self.connections.list(peer.ok_or(io::ErrorKind::AddrNotAvailable)?);
        let closing = self.shutdown.silent.clone();
        Ok(Accepted {
            stream: TrackedStream::new(accepted.stream, listed, closing, self.head_timeout),
            coupler: TcpCoupler::new(),
            fuse_config: accepted.fuse_config,
            conn_ctrl: accepted.conn_ctrl,
            local_addr: accepted.local_addr,
            remote_addr: accepted.remote_addr,
            http_scheme: accepted.http_scheme,
        })
    }
}
