//! Listening: HTTP/1.1 and HTTP/2 without TLS (a proxy ends TLS), with limits against those who dawdle.

use std::{io, net::SocketAddr, pin::Pin, time::Duration};

use salvo::{
    Listener, Service,
    conn::{TcpListener, tcp::TcpAcceptor},
    fuse::FuseConfig,
    server::ServerHandle,
};

/// How much a client may send, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The largest body, in bytes (`BODY_LIMIT_BYTES`).
    pub body_bytes: usize,
    /// From a request's head to its answer.
    pub request: Duration,
    /// For a request's head to arrive.
    pub headers: Duration,
    /// Between two pieces of a body.
    pub body_pause: Duration,
    /// For a piece of an answer to leave, and for a connection to lie idle.
    pub idle: Duration,
    /// Connections at a time; further ones wait to be accepted.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            request: Duration::from_secs(30),
            headers: Duration::from_secs(10),
            body_pause: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            connections: 10_000,
        }
    }
}

/// A listener that is bound and does not serve yet: clients already wait in its queue.
pub struct Server {
    /// Where it listens; the port that the system chose if 0 was asked for.
    pub address: SocketAddr,
    /// Stops it: `stop_graceful(limit)` accepts no more and lets what runs finish.
    pub handle: ServerHandle,
    serving: Pin<Box<dyn Future<Output = io::Result<()>> + Send>>,
}

/// Nothing can listen there.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}; choose another HOST, PORT or OPERATOR_ADDR")]
pub struct CannotListen {
    address: SocketAddr,
    cause: String,
}

impl Server {
    /// Binds an address for a service.
    ///
    /// # Errors
    /// When the address is taken, not ours or not allowed.
    pub async fn bind(address: SocketAddr, service: Service, limits: Limits) -> Result<Self, CannotListen> {
        let cannot = |cause: &dyn ToString| CannotListen { address, cause: cause.to_string() };
        let acceptor = TcpListener::new(address).try_bind().await.map_err(|error| cannot(&error))?;
        let address = acceptor.local_addr().map_err(|error| cannot(&error))?;
        let server = limited(acceptor, limits);
        let handle = server.handle();
        Ok(Self { address, handle, serving: Box::pin(server.try_serve(service)) })
    }

    /// Serves until it is stopped. Dropping the future drops the connections.
    ///
    /// # Errors
    /// When the listener itself fails.
    pub async fn run(self) -> io::Result<()> {
        self.serving.await
    }
}

fn limited(acceptor: TcpAcceptor, limits: Limits) -> salvo::Server<TcpAcceptor> {
    let fuse = FuseConfig::default()
        .with_http1_header_timeout(limits.headers)
        .with_request_body_timeout(limits.body_pause)
        .with_connection_idle_timeout(limits.idle)
        .with_write_stall_timeout(limits.idle);
    let mut server = salvo::Server::new(acceptor).fuse_config(fuse).max_connections(limits.connections);
    server.http1_mut().max_buf_size(64 << 10);
    server.http2_mut().max_concurrent_streams(200).max_header_list_size(16 << 10);
    server
}
