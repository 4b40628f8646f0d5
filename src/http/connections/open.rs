//! The open connections of a listener.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::connection::Connection;

/// The open connections of a listener, by the address of the peer.
#[derive(Debug, Default)]
pub(in crate::http) struct OpenConnections(Mutex<HashMap<SocketAddr, Arc<Connection>>>);

/// A connection that is listed until this is dropped.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) connection: Arc<Connection>,
    peer: SocketAddr,
    all: Arc<OpenConnections>,
}

impl OpenConnections {
    /// Lists a new connection.
    pub(super) fn list(self: &Arc<Self>, peer: SocketAddr) -> Listed {
        let connection = Arc::new(Connection::default());
        self.lock().insert(peer, Arc::clone(&connection));
        Listed { connection, peer, all: Arc::clone(self) }
    }

    /// The connection of this peer.
    pub(super) fn find(&self, peer: SocketAddr) -> Option<Arc<Connection>> {
        self.lock().get(&peer).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        // The peer may have closed, and connected again from the same port.
        let mut all = self.all.lock();
        if all.get(&self.peer).is_some_and(|listed| Arc::ptr_eq(listed, &self.connection)) {
            all.remove(&self.peer);
        }
    }
}
