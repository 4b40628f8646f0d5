//! Old names, until their last caller is gone.

use faceofmind_runtime::legacy::Failure;

use super::{ConnectionState, NatsConnection};

pub type Nats = NatsConnection;
pub type Link = ConnectionState;

#[doc(hidden)]
impl NatsConnection {
    pub fn link(&self) -> &ConnectionState {
        self.state()
    }

    pub async fn answers(&self) -> bool {
        self.responds().await
    }
}

#[doc(hidden)]
impl ConnectionState {
    pub fn is_up(&self) -> bool {
        self.is_connected()
    }

    pub fn turn(&self) -> u64 {
        self.epoch()
    }

    pub async fn moved_from(&self, turn: u64) {
        self.changed_since(turn).await;
    }

    pub async fn during<T>(&self, turn: u64, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.while_connected(turn, work).await
    }
}
