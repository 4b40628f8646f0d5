//! A wire between a client and a server that can be cut, at once or after so many bytes.

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
pub(crate) struct Wire {
    /// `host:port` to connect to.
    pub(crate) address: String,
    state: Arc<State>,
}

struct State {
    whole: AtomicBool,
    cuts: watch::Sender<u64>,
    /// Bytes that may still pass to the server, and back; whoever exceeds one of them cuts the wire.
    there: AtomicI64,
    back: AtomicI64,
}

impl Wire {
    /// A whole wire to `server`.
    pub(crate) async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let state = Arc::new(State {
            whole: AtomicBool::new(true),
            cuts: watch::Sender::new(0),
            there: AtomicI64::new(i64::MAX),
            back: AtomicI64::new(i64::MAX),
        });
        tokio::spawn(listen(listener, server.to_owned(), Arc::clone(&state)));
        Self { address, state }
    }

    /// Cuts it: connections break, new ones as well.
    pub(crate) fn cut(&self) {
        self.state.cut();
    }

    /// Cuts it when so many more bytes have gone to the server. What it answers meanwhile passes.
    pub(crate) fn cut_after_sending(&self, bytes: i64) {
        self.state.there.store(bytes, Ordering::SeqCst);
    }

    /// Cuts it when so many more bytes have come from the server. What was sent has arrived by then.
    pub(crate) fn cut_after_hearing(&self, bytes: i64) {
        self.state.back.store(bytes, Ordering::SeqCst);
    }

    /// Waits until it is cut.
    pub(crate) async fn is_cut(&self) {
        let mut cuts = self.state.cuts.subscribe();
        while self.state.whole.load(Ordering::SeqCst) {
            cuts.changed().await.expect("the wire is there");
        }
    }

    /// Mends it, for new connections.
    pub(crate) fn mend(&self) {
        self.state.there.store(i64::MAX, Ordering::SeqCst);
        self.state.back.store(i64::MAX, Ordering::SeqCst);
        self.state.whole.store(true, Ordering::SeqCst);
    }
}

impl State {
    fn cut(&self) {
        self.whole.store(false, Ordering::SeqCst);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn listen(listener: TcpListener, server: String, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        if state.whole.load(Ordering::SeqCst)
            && let Ok(server) = TcpStream::connect(&server).await
        {
            tokio::spawn(join(client, server, Arc::clone(&state)));
        }
    }
}

async fn join(client: TcpStream, server: TcpStream, state: Arc<State>) {
    let mut cuts = state.cuts.subscribe();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pass(from_client, to_server, &state.there) => {}
        () = pass(from_server, to_client, &state.back) => {}
        _ = cuts.changed() => return,
    }
    if state.there.load(Ordering::SeqCst) <= 0 || state.back.load(Ordering::SeqCst) <= 0 {
        state.cut();
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, allowance: &AtomicI64) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let left = allowance.fetch_sub(i64::try_from(read).expect("4096 at most"), Ordering::SeqCst);
        let passes = usize::try_from(left).unwrap_or(0).min(read);
        if to.write_all(&buffer[..passes]).await.is_err() || passes < read {
            return;
        }
    }
}
