//! A NATS server of a test's own, which the test may kill.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tokio::net::TcpStream;

use crate::basics::{new_folder, until};

/// A running NATS server without authentication, with its messages on disk.
pub struct NatsServer {
    /// `host:port`.
    pub address: String,
    folder: PathBuf,
    process: Child,
}

impl NatsServer {
    /// Starts a server on a free port.
    ///
    /// # Panics
    /// Panics when the program `nats-server` is missing.
    pub async fn start() -> Self {
        let folder = new_folder();
        std::fs::create_dir(&folder).expect("a temporary folder");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("bound").to_string();
        drop(free);
        let process = run(&folder, &address);
        let server = Self { address, folder, process };
        server.answers().await;
        server
    }

    /// Kills the server as a power loss does, and starts it again.
    ///
    /// # Panics
    /// Panics when it does not start.
    pub async fn kill_and_restart(&mut self) {
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
    }
}

/// Debian installs the program in a folder that a user's `PATH` may lack.
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
