//! The server: HTTP/1.1 and HTTP/2 without TLS (a proxy terminates TLS), with limits against slow clients.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use salvo::{Service, fuse::FuseConfig};

use super::connections::{
    listener::{ClosableListener, ShutdownSignal},
    open::OpenConnections,
    requests::CountRequests,
};

/// What a client may send, and in what time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The largest body, in bytes (`BODY_LIMIT_BYTES`).
    pub body_bytes: usize,
    /// From the head of a request to its response.
    pub request: Duration,
    /// For the head of a request to arrive, from its first byte; for the first of a connection, from its start.
    pub headers: Duration,
    /// Between two chunks of a body.
    pub body_pause: Duration,
    /// For a chunk of a response to be sent, and between requests. Proxies keep connections for 60 to 75 seconds, and a request on one that
    /// was closed meanwhile fails.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            request: Duration::from_secs(30),
            headers: Duration::from_secs(10),
            body_pause: Duration::from_secs(10),
            idle: Duration::from_secs(120),
        }
    }
}

/// A listener that is bound and does not serve yet. Clients can connect already, and wait.
pub struct Server {
    /// The address of the listener, with the port that the system chose when port 0 was requested.
    pub address: SocketAddr,
    /// Stops the server.
    pub handle: ServerHandle,
    serving: Pin<Box<dyn Future<Output = io::Result<()>> + Send>>,
}

/// Stops a server. Clones stop the same one.
#[derive(Clone)]
pub struct ServerHandle {
    pub(super) inner: salvo::server::ServerHandle,
    shutdown: ShutdownSignal,
}

/// How long to wait for the socket to close.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

impl ServerHandle {
    /// Refuses new connections. Those that are open are served on.
    pub async fn close(&self) {
        self.shutdown.request();
        drop(tokio::time::timeout(CLOSE_TIMEOUT, self.shutdown.closed()).await);
    }

    /// Refuses new connections, closes silent ones, and lets requests in progress finish within `limit`.
    pub async fn stop(&self, limit: Duration) {
        self.close().await;
        self.shutdown.close_silent();
        self.inner.stop_graceful(limit);
    }
}

/// An address that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}; choose another {settings}")]
pub struct CannotListen {
    settings: &'static str,
    address: SocketAddr,
    cause: String,
}

impl Server {
    /// Binds an address to a service. `settings` names the settings that hold the address.
    ///
    /// # Errors
    /// When the address is in use, not local or not permitted.
    pub async fn bind(
        settings: &'static str,
        address: SocketAddr,
        mut service: Service,
        limits: Limits,
        connections: Arc<OpenConnections>,
    ) -> Result<Self, CannotListen> {
        service.hoops.insert(0, Arc::new(CountRequests(Arc::clone(&connections))));
        let cannot = |cause: &dyn ToString| CannotListen { settings, address, cause: cause.to_string() };
        let bound = ClosableListener::bind(address, Arc::clone(&connections), limits.headers).await;
        let (listener, shutdown) = bound.map_err(|error| cannot(&error))?;
        let address = listener.address().map_err(|error| cannot(&error))?;
        let server = with_limits(listener, limits);
        let handle = ServerHandle { inner: server.handle(), shutdown };
        Ok(Self { address, handle, serving: Box::pin(server.try_serve(service)) })
    }

    /// Serves until the server is stopped. Dropping the future drops the connections.
    ///
    /// # Errors
    /// When the listener itself fails.
    pub async fn run(self) -> io::Result<()> {
        self.serving.await
    }
}

fn with_limits(listener: ClosableListener, limits: Limits) -> salvo::Server<ClosableListener> {
    // The listener's streams limit the time of a head. Between requests, `idle` counts.
    let fuse = FuseConfig::default()
        .with_http1_header_timeout(None)
        .with_request_body_timeout(limits.body_pause)
        .with_connection_idle_timeout(limits.idle)
        .with_write_stall_timeout(limits.idle);
    let mut server = salvo::Server::new(listener).fuse_config(fuse);
    server.http1_mut().max_buf_size(64 << 10).header_read_timeout(None);
    server.http2_mut().max_concurrent_streams(200).max_header_list_size(16 << 10);
    server
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use futures_util::stream;
    use salvo::{Response, Router, Service, handler, http::ResBody};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::Notify,
        time::timeout,
    };

    use super::*;
    use crate::http::connections::open::{ConnectionLimits, ConnectionMetrics};

    #[handler]
    async fn hello() -> &'static str {
        "hello"
    }

    fn open() -> Arc<OpenConnections> {
        let limits = ConnectionLimits { max: 100, ..ConnectionLimits::default() };
        OpenConnections::new(limits, ConnectionMetrics::default())
    }

    async fn serve(
        router: Router,
        limits: Limits,
    ) -> (SocketAddr, salvo::server::ServerHandle, tokio::task::JoinHandle<io::Result<()>>) {
        let any = ([127, 0, 0, 1], 0).into();
        let server = Server::bind("PORT", any, Service::new(router), limits, open()).await.expect("a free port");
        let (address, handle) = (server.address, server.handle.inner.clone());
        (address, handle, tokio::spawn(server.run()))
    }

    async fn read(stream: &mut TcpStream) -> Vec<u8> {
        let mut read = Vec::new();
        let all = stream.read_to_end(&mut read);
        timeout(Duration::from_secs(5), all).await.expect("the server closes").expect("readable");
        read
    }

    /// A proxy that has just connected sends its request, and does not repeat one that is cut off.
    #[tokio::test]
    async fn a_connection_made_before_the_socket_closes_is_served() {
        let any = ([127, 0, 0, 1], 0).into();
        let limits = Limits::default();
        let server = Server::bind("PORT", any, Service::new(Router::new().get(hello)), limits, open())
            .await
            .expect("a free port");
        let (address, handle) = (server.address, server.handle.clone());
        let running = tokio::spawn(server.run());
        let mut connections = Vec::new();
        for _ in 0..50 {
            connections.push(TcpStream::connect(address).await.expect("it listens"));
        }
        handle.close().await;
        for stream in &mut connections {
            let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await.expect("writes");
            assert!(read(stream).await.starts_with(b"HTTP/1.1 200"));
        }
        TcpStream::connect(address).await.expect_err("no new connection");
        handle.stop(Duration::from_secs(5)).await;
        timeout(Duration::from_secs(5), running).await.expect("it stops").expect("no panic").expect("it served");
    }

    #[handler]
    async fn half_an_answer(res: &mut Response) {
        let chunks = [Ok("half"), Err(io::Error::other("the database is gone"))];
        res.body(ResBody::stream(stream::iter(chunks)));
    }

    /// A proxy that speaks HTTP/1.0, as nginx does by default, would pass on a clean end as that of a whole answer.
    #[tokio::test]
    async fn a_response_that_fails_halfway_resets_the_connection() {
        let (address, handle, _) = serve(Router::new().get(half_an_answer), Limits::default()).await;
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(b"GET / HTTP/1.0\r\nhost: x\r\n\r\n").await.expect("writes");
        let all = timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await.expect("it ends");
        assert_eq!(all.expect_err("no clean end").kind(), io::ErrorKind::ConnectionReset);
        handle.stop_forceful();
    }

    /// nginx and haproxy keep connections for up to 75 s, and a request on one that was closed meanwhile fails.
    #[test]
    fn idle_connections_outlast_those_of_proxies() {
        assert!(Limits::default().idle > Duration::from_secs(75));
    }

    #[tokio::test]
    async fn port_0_is_any_free_port_and_the_error_of_a_taken_one_names_it() {
        let (address, handle, _) = serve(Router::new().get(hello), Limits::default()).await;
        assert_ne!(address.port(), 0);
        let taken = Server::bind("PORT", address, Service::new(Router::new()), Limits::default(), open())
            .await
            .err()
            .expect("taken");
        assert!(taken.to_string().starts_with(&format!("cannot listen on {address}: ")), "{taken}");
        handle.stop_forceful();
    }

    #[tokio::test]
    async fn http_2_works_without_tls() {
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
    async fn a_client_that_sends_its_head_too_slowly_is_disconnected() {
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
    async fn a_graceful_stop_lets_the_request_in_progress_finish_and_then_closes() {
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
