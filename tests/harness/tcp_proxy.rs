//! A TCP proxy in front of a server. Cutting it shows the service what an unreachable Redis, NATS or mail server does.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Forwards every connection until it is cut.
pub(crate) struct TcpProxy {
    address: SocketAddr,
    connected: watch::Sender<bool>,
}

impl TcpProxy {
    /// Starts a proxy to this server (`host:port`).
    pub(crate) async fn to(server: &str) -> Self {
        Self::at("127.0.0.1:0", server).await
    }

    /// The same, at this address.
    pub(crate) async fn at(address: &str, server: &str) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (connected, is_connected) = watch::channel(true);
        tokio::spawn(accept(listener, server.to_owned(), is_connected));
        Self { address, connected }
    }

    /// `url` with the proxy's host and port instead of the server's.
    pub(crate) fn rewrite_url(&self, url: &str) -> String {
        let (scheme, after) = url.split_once("://").expect("a URL");
        let (login, rest) = after.split_once('@').map_or(("", after), |(login, rest)| (login, rest));
        let at = if login.is_empty() { "" } else { "@" };
        let path = rest.split_once('/').map(|(_, path)| format!("/{path}")).unwrap_or_default();
        format!("{scheme}://{login}{at}{}{path}", self.address)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Closes every connection, and each new one right after it is accepted.
    pub(crate) fn cut(&self) {
        self.connected.send_replace(false);
    }

    pub(crate) fn restore(&self) {
        self.connected.send_replace(true);
    }
}

async fn accept(listener: TcpListener, server: String, is_connected: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(forward(client, server.clone(), is_connected.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn forward(mut client: TcpStream, server: String, mut is_connected: watch::Receiver<bool>) {
    let forwarding = async {
        let mut server = TcpStream::connect(server).await.ok()?;
        copy_bidirectional(&mut client, &mut server).await.ok()
    };
    tokio::select! {
        biased;
        _ = is_connected.wait_for(|connected| !connected) => {}
        _ = forwarding => {}
    }
}
