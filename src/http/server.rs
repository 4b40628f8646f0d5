//! Listening: HTTP/1.1 and HTTP/2 without TLS (a proxy ends TLS), with limits against those who dawdle.

use std::{io, net::SocketAddr, pin::Pin, time::Duration};

use salvo::{Listener, Service, conn::TcpListener, fuse::FuseConfig, server::ServerHandle};

use super::door::{Door, Latch};

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
    /// Stops it.
    pub stopper: Stopper,
    serving: Pin<Box<dyn Future<Output = io::Result<()>> + Send>>,
}

/// Stops a server. Clones stop the same one.
#[derive(Clone)]
pub struct Stopper {
    pub(super) handle: ServerHandle,
    latch: Latch,
}

/// A server that has as many connections as it may does not look at its socket, and is not waited for longer.
const SHUT_WITHIN: Duration = Duration::from_millis(200);

impl Stopper {
    /// Refuses whoever comes, lets go who has said nothing, and lets what runs finish within `limit`.
    pub async fn stop(&self, limit: Duration) {
        self.latch.shut();
        drop(tokio::time::timeout(SHUT_WITHIN, self.latch.is_shut()).await);
        self.handle.stop_graceful(limit);
    }
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
        let (door, latch) = Door::new(acceptor);
        let server = limited(door, limits);
        let stopper = Stopper { handle: server.handle(), latch };
        Ok(Self { address, stopper, serving: Box::pin(server.try_serve(service)) })
    }

    /// Serves until it is stopped. Dropping the future drops the connections.
    ///
    /// # Errors
    /// When the listener itself fails.
    pub async fn run(self) -> io::Result<()> {
        self.serving.await
    }
}

fn limited(door: Door, limits: Limits) -> salvo::Server<Door> {
    let fuse = FuseConfig::default()
        .with_http1_header_timeout(limits.headers)
        .with_request_body_timeout(limits.body_pause)
        .with_connection_idle_timeout(limits.idle)
        .with_write_stall_timeout(limits.idle);
    let mut server = salvo::Server::new(door).fuse_config(fuse).max_connections(limits.connections);
    server.http1_mut().max_buf_size(64 << 10);
    server.http2_mut().max_concurrent_streams(200).max_header_list_size(16 << 10);
    server
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use salvo::{Router, Service, handler};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::Notify,
        time::timeout,
    };

    use super::*;

    #[handler]
    async fn hello() -> &'static str {
        "hello"
    }

    async fn serve(
        router: Router,
        limits: Limits,
    ) -> (SocketAddr, ServerHandle, tokio::task::JoinHandle<io::Result<()>>) {
        let any = ([127, 0, 0, 1], 0).into();
        let server = Server::bind(any, Service::new(router), limits).await.expect("a free port");
        let (address, handle) = (server.address, server.stopper.handle.clone());
        (address, handle, tokio::spawn(server.run()))
    }

    async fn read(stream: &mut TcpStream) -> Vec<u8> {
        let mut read = Vec::new();
        let all = stream.read_to_end(&mut read);
        timeout(Duration::from_secs(5), all).await.expect("the server closes").expect("readable");
        read
    }

    #[tokio::test]
    async fn port_0_is_any_free_port_and_a_taken_one_is_named() {
        let (address, handle, _) = serve(Router::new().get(hello), Limits::default()).await;
        assert_ne!(address.port(), 0);
        let taken = Server::bind(address, Service::new(Router::new()), Limits::default()).await.err().expect("taken");
        assert!(taken.to_string().starts_with(&format!("cannot listen on {address}: ")), "{taken}");
        handle.stop_forceful();
    }

    #[tokio::test]
    async fn http_2_is_spoken_without_tls() {
        let (address, handle, _) = serve(Router::new().get(hello), Limits::default()).await;
        let mut stream = TcpStream::connect(address).await.expect("listening");
        let empty_settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("written");
        stream.write_all(&empty_settings).await.expect("written");
        let mut frame = [0; 9];
        timeout(Duration::from_secs(5), stream.read_exact(&mut frame)).await.expect("an answer").expect("a frame");
        assert_eq!(frame[3], 4, "the first frame of a server is SETTINGS");
        handle.stop_forceful();
    }

    #[tokio::test]
    async fn a_client_that_dawdles_over_its_head_is_cut_off() {
        let limits = Limits { headers: Duration::from_millis(50), ..Limits::default() };
        let (address, handle, _) = serve(Router::new().get(hello), limits).await;
        for head in [&b""[..], b"GET / HTTP/1.1\r\nhost: x\r\n"] {
            let mut stream = TcpStream::connect(address).await.expect("listening");
            stream.write_all(head).await.expect("written");
            assert!(!read(&mut stream).await.starts_with(b"HTTP/1.1 200"));
        }
        handle.stop_forceful();
    }

    static STARTED: LazyLock<Notify> = LazyLock::new(Notify::new);
    static FINISH: LazyLock<Notify> = LazyLock::new(Notify::new);

    #[handler]
    async fn slow() -> &'static str {
        STARTED.notify_one();
        FINISH.notified().await;
        "done"
    }

    #[tokio::test]
    async fn a_graceful_stop_lets_the_request_in_hand_finish_and_then_closes() {
        let (address, handle, running) = serve(Router::new().get(slow), Limits::default()).await;
        let mut stream = TcpStream::connect(address).await.expect("listening");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
        STARTED.notified().await;
        handle.stop_graceful(Duration::from_secs(5));
        FINISH.notify_one();
        assert!(read(&mut stream).await.ends_with(b"done"));
        timeout(Duration::from_secs(5), running).await.expect("it stops").expect("no panic").expect("no error");
    }
}
