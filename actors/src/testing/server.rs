//! A nats-server of a test's own, to be killed.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tokio::net::TcpStream;

use super::{Clock, Rng, until};

/// A running nats-server that lets anyone in, with its messages on disk.
pub(crate) struct NatsServer {
    /// `host:port`.
    pub(crate) address: String,
    folder: PathBuf,
    process: Child,
}

impl NatsServer {
    /// Starts one on a free port. `FOM_TEST_NATS` was set, so the program is there.
    pub(crate) async fn start() -> Self {
        let name = format!("nats_{}", Rng::system().uuid_v7(Clock::system().now()).simple());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).expect("a temporary folder");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("bound").to_string();
        drop(free);
        let process = run(&folder, &address);
        let server = Self { address, folder, process };
        server.answers().await;
        server
    }

    /// Kills it as a loss of power does, and starts it again.
    pub(crate) async fn kill_and_restart(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it is killed");
        self.process = run(&self.folder, &self.address);
        self.answers().await;
    }

    async fn answers(&self) {
        until("nats-server listens", || async { TcpStream::connect(&self.address).await.is_ok() }).await;
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Debian keeps the program where a user's `PATH` may not lead.
fn run(folder: &std::path::Path, address: &str) -> Child {
    let (_, port) = address.split_once(':').expect("host:port");
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    Command::new("nats-server")
        .env("PATH", path)
        .args(["--addr", "127.0.0.1", "--port", port, "--jetstream", "--store_dir"])
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nats-server starts")
}
