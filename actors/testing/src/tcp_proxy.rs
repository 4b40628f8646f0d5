//! A TCP proxy that a test can cut, at once or after a number of bytes, or make silent.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// A TCP proxy on a port of its own.
pub struct TcpProxy {
    /// `host:port` to connect to.
    pub address: String,
    state: Arc<State>,
}

struct State {
    is_up: AtomicBool,
    cuts: watch::Sender<u64>,
    /// Each makes the connections of that time silent.
    silences: watch::Sender<u64>,
    /// Bytes that may still pass to the server, and back. The proxy is cut when one of them is used up.
    to_server: AtomicI64,
    to_client: AtomicI64,
}

impl TcpProxy {
    /// Starts a proxy to `server` (`host:port`).
    ///
    /// # Panics
    /// Panics when no port is free.
    pub async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let state = Arc::new(State {
            is_up: AtomicBool::new(true),
            cuts: watch::Sender::new(0),
            silences: watch::Sender::new(0),
            to_server: AtomicI64::new(i64::MAX),
            to_client: AtomicI64::new(i64::MAX),
        });
        tokio::spawn(listen(listener, server.to_owned(), Arc::clone(&state)));
        Self { address, state }
    }

    /// Breaks all connections, and new ones too.
    pub fn cut(&self) {
        self.state.cut();
    }

    /// Lets nothing more pass on the present connections, without closing them, as a firewall that forgot them does. New ones pass.
    pub fn silence(&self) {
        self.state.silences.send_modify(|silences| *silences += 1);
    }

    /// Cuts the proxy when `bytes` more bytes have gone to the server. The server's answers pass until then.
    pub fn cut_after_sending(&self, bytes: i64) {
        self.state.to_server.store(bytes, Ordering::SeqCst);
    }

    /// Cuts the proxy when `bytes` more bytes have come from the server. What was sent before has arrived by then.
    pub fn cut_after_receiving(&self, bytes: i64) {
        self.state.to_client.store(bytes, Ordering::SeqCst);
    }

    /// Waits until the proxy is cut.
    ///
    /// # Panics
    /// Never: the proxy outlives the wait.
    pub async fn until_cut(&self) {
        let mut cuts = self.state.cuts.subscribe();
        while self.state.is_up.load(Ordering::SeqCst) {
            cuts.changed().await.expect("the proxy is there");
        }
    }

    /// Accepts new connections again.
    pub fn restore(&self) {
        self.state.to_server.store(i64::MAX, Ordering::SeqCst);
        self.state.to_client.store(i64::MAX, Ordering::SeqCst);
        self.state.is_up.store(true, Ordering::SeqCst);
    }
}

impl State {
    fn cut(&self) {
        self.is_up.store(false, Ordering::SeqCst);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn listen(listener: TcpListener, server: String, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        if state.is_up.load(Ordering::SeqCst)
            && let Ok(server) = TcpStream::connect(&server).await
        {
            tokio::spawn(join(client, server, Arc::clone(&state)));
        }
    }
}

async fn join(client: TcpStream, server: TcpStream, state: Arc<State>) {
    let (mut cuts, silences) = (state.cuts.subscribe(), state.silences.subscribe());
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pass(from_client, to_server, &state.to_server, silences.clone()) => {}
        () = pass(from_server, to_client, &state.to_client, silences) => {}
        _ = cuts.changed() => return,
    }
    if state.to_server.load(Ordering::SeqCst) <= 0 || state.to_client.load(Ordering::SeqCst) <= 0 {
        state.cut();
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    allowance: &AtomicI64,
    mut silences: watch::Receiver<u64>,
) {
    let mut buffer = [0; 4096];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            _ = silences.changed() => std::future::pending().await,
        };
        let Ok(read @ 1..) = read else { return };
        let left = allowance.fetch_sub(i64::try_from(read).expect("4096 at most"), Ordering::SeqCst);
        let passes = usize::try_from(left).unwrap_or(0).min(read);
        if to.write_all(&buffer[..passes]).await.is_err() || passes < read {
            return;
        }
    }
}
