//! Bytes over a socket, for requests that no HTTP client would send.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{TestApp, wait::DEADLINE};

impl TestApp {
    /// Sends these bytes and reads until the service closes the connection.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        self.exchange(bytes, false).await
    }

    /// The same, but closes the sending half, so that an incomplete request cannot be completed.
    pub(crate) async fn raw_cut(&self, bytes: &[u8]) -> String {
        self.exchange(bytes, true).await
    }

    async fn exchange(&self, bytes: &[u8], shut_down: bool) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("the service listens");
        // The service may close before it has read everything. Its response until then is what counts.
        drop(stream.write_all(bytes).await);
        if shut_down {
            drop(stream.shutdown().await);
        }
        let mut read = Vec::new();
        drop(timeout(DEADLINE, stream.read_to_end(&mut read)).await.expect("the service closes the connection"));
        String::from_utf8_lossy(&read).into_owned()
    }
}
