//! Bytes over a socket, for requests that no client would send.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::TestApp;

/// Longer than any limit that a story sets.
const DEADLINE: Duration = Duration::from_secs(15);

impl TestApp {
    /// The same, but says that nothing more will come: what is half a request is then over.
    pub(crate) async fn raw_cut(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("the service listens");
        drop(stream.write_all(bytes).await);
        drop(stream.shutdown().await);
        read(stream).await
    }

    /// Sends these bytes and reads until the service closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("the service listens");
        // It may close before it has read all; what it said until then is what counts.
        drop(stream.write_all(bytes).await);
        read(stream).await
    }
}

async fn read(mut stream: TcpStream) -> String {
    let mut read = Vec::new();
    drop(timeout(DEADLINE, stream.read_to_end(&mut read)).await.expect("the service closes"));
    String::from_utf8_lossy(&read).into_owned()
}
