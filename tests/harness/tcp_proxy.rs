//! A wire to a server that can be cut: what the service sees when Redis, NATS or the mail server is gone.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Listens for the service and passes everything on, until it is cut.
pub(crate) struct TcpProxy {
    address: SocketAddr,
    whole: watch::Sender<bool>,
}

impl TcpProxy {
    /// A whole wire to this server (`host:port`).
    pub(crate) async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let (whole, is_whole) = watch::channel(true);
        tokio::spawn(pass_on(listener, server.to_owned(), is_whole));
        Self { address, whole }
    }

    /// `url` with this wire in the place of the server.
    pub(crate) fn rewrite_url(&self, url: &str) -> String {
        let (before, after) = url.split_once("://").expect("a URL");
        let (login, rest) = after.split_once('@').map_or(("", after), |(login, rest)| (login, rest));
        let at = if login.is_empty() { "" } else { "@" };
        let path = rest.split_once('/').map(|(_, path)| format!("/{path}")).unwrap_or_default();
        format!("{before}://{login}{at}{}{path}", self.address)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Ends every connection, and every new one as soon as it is made.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub(crate) fn restore(&self) {
        self.whole.send_replace(true);
    }
}

async fn pass_on(listener: TcpListener, server: String, is_whole: watch::Receiver<bool>) {
    let mut wires = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        wires.spawn(carry(near, server.clone(), is_whole.clone()));
        while wires.try_join_next().is_some() {}
    }
}

async fn carry(mut near: TcpStream, server: String, mut is_whole: watch::Receiver<bool>) {
    let carrying = async {
        let mut far = TcpStream::connect(server).await.ok()?;
        copy_bidirectional(&mut near, &mut far).await.ok()
    };
    tokio::select! {
        biased;
        _ = is_whole.wait_for(|whole| !whole) => {}
        _ = carrying => {}
    }
}
