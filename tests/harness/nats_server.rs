//! A nats-server for one test, which the test may kill.

use std::{
    net::TcpListener,
    process::Stdio,
    sync::atomic::{AtomicU16, Ordering},
};

use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use super::{eventually, test_services};

/// A nats-server that stores its messages on disk.
pub(crate) struct NatsServer {
    pub(crate) port: u16,
    options: Vec<String>,
    /// A test may replace the folder of a killed server.
    pub(crate) store: TempDir,
    process: Option<Child>,
}

impl NatsServer {
    /// Starts a server without authentication.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with these options on its command line.
    pub(crate) async fn start_with(options: &[&str]) -> Self {
        let options = options.iter().map(ToString::to_string).collect();
        let store = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self { port: free_port(), options, store, process: None };
        server.restart().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Sends SIGKILL, like a loss of power.
    pub(crate) async fn kill(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        process.kill().await.expect("the server runs");
    }

    /// Starts the server at the same port with its stored messages.
    pub(crate) async fn restart(&mut self) {
        let mut command = Command::new(test_services::nats_program());
        command.args(["--addr", "127.0.0.1", "--port", &self.port.to_string(), "--jetstream", "--store_dir"]);
        command.arg(self.store.path()).args(&self.options).kill_on_drop(true);
        self.process = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nats-server starts"));
        let address = ("127.0.0.1", self.port);
        eventually("nats-server listens", async || TcpStream::connect(address).await.ok()).await;
    }
}

/// A port below the ephemeral range, so that no outgoing connection occupies it while the server is down.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 12_000 + u16::try_from(std::process::id() % 10_000).expect("below");
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("one of them is free")
}
