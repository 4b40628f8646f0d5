//! A listener that can be closed while its connections continue: new connections are refused at once, and those that
//! have not sent anything are closed. salvo alone keeps the socket open, and waits for silent connections, until all
//! others have ended.

use std::{future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use salvo::{
    conn::{Accepted, Acceptor, ConnCtrl, Holding, StraightStream, tcp::TcpCoupler},
    fuse::{ArcFusePolicy, FuseAction, FuseInfo, TransProto},
    http::{Version, uri::Scheme},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{open::OpenConnections, stream::TrackedStream};

/// A listener that can be closed.
pub(in crate::http) struct ClosableListener {
    open: Option<TcpListener>,
    /// What was in the queue of the socket when it was closed.
    last: Vec<(std::net::TcpStream, SocketAddr)>,
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
    /// Listens on this address.
    pub(in crate::http) async fn bind(
        address: SocketAddr,
        connections: Arc<OpenConnections>,
        head_timeout: Duration,
    ) -> io::Result<(Self, ShutdownSignal)> {
        let open = TcpListener::bind(address).await?;
        let holding = Holding {
            local_addr: open.local_addr()?.into(),
            http_versions: vec![Version::HTTP_11, Version::HTTP_2],
            http_scheme: Scheme::HTTP,
        };
        let (holdings, shutdown) = (vec![holding], ShutdownSignal::default());
        let listener = Self {
            holdings,
            open: Some(open),
            last: Vec::new(),
            connections,
            head_timeout,
            shutdown: shutdown.clone(),
        };
        Ok((listener, shutdown))
    }

    /// The address, with the port that the system chose when port 0 was requested.
    pub(in crate::http) fn address(&self) -> io::Result<SocketAddr> {
        self.open.as_ref().ok_or(io::ErrorKind::NotConnected)?.local_addr()
    }

    /// The next connection, also one of those that were waiting when the socket was closed.
    async fn next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        if let Some(listener) = &self.open {
            tokio::select! {
                accepted = listener.accept() => return accepted,
                () = self.shutdown.requested.cancelled() => {}
            }
            self.last = self.open.take().map_or(Ok(Vec::new()), close)?;
            self.shutdown.closed.cancel();
        }
        match self.last.pop() {
            Some((stream, peer)) => Ok((TcpStream::from_std(stream)?, peer)),
            None => pending().await,
        }
    }
}

/// Closes a socket. Gives the connections in its queue, which closing it would reset.
fn close(listener: TcpListener) -> io::Result<Vec<(std::net::TcpStream, SocketAddr)>> {
    let listener = listener.into_std()?;
    let mut last = Vec::new();
    while let Ok((stream, peer)) = listener.accept() {
        stream.set_nonblocking(true)?;
        last.push((stream, peer));
    }
    Ok(last)
}

impl Acceptor for ClosableListener {
    type Coupler = TcpCoupler<Self::Stream>;
    type Stream = StraightStream<TrackedStream>;

    fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    async fn accept(&mut self, policy: Option<ArcFusePolicy>) -> io::Result<Accepted<Self::Coupler, Self::Stream>> {
        let (stream, peer, listed, conn_ctrl) = loop {
            let (stream, peer) = self.next().await?;
            let (conn_ctrl, closing) = (ConnCtrl::new(), self.shutdown.silent.child_token());
            // A connection that is not admitted closes here.
            if let Some(listed) = self.connections.admit(peer, conn_ctrl.clone(), closing) {
                break (stream, peer, listed, conn_ctrl);
            }
        };
        let Holding { local_addr, http_scheme, .. } = self.holdings[0].clone();
        let info = FuseInfo { trans_proto: TransProto::Tcp, remote_addr: peer.into(), local_addr: local_addr.clone() };
        let fuse_config = match policy {
            Some(policy) => match policy.decide(&info).await {
                FuseAction::Accept(config) => Some(config),
                FuseAction::Reject => return Err(io::ErrorKind::ConnectionAborted.into()),
            },
            None => None,
        };
        let tracked = TrackedStream::new(stream, listed, self.head_timeout);
        Ok(Accepted {
            stream: StraightStream::new(tracked, fuse_config, conn_ctrl.clone(), None),
            coupler: TcpCoupler::new(),
            fuse_config,
            conn_ctrl,
            local_addr,
            remote_addr: peer.into(),
            http_scheme,
        })
    }
}
