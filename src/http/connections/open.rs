//! The open connections of a listener, and which of them make way when there are too many.

use std::{
    cmp::Reverse,
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ipnet::IpNet;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use salvo::ConnCtrl;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use crate::http::client::TrustedProxies;

/// A full listener closes one in this many of its connections at a time, if as many are idle, because it reads the whole list to find them.
const ROUND: usize = 64;

/// How many connections a listener may have.
#[derive(Clone, Debug, Default)]
pub struct ConnectionLimits {
    /// In all.
    pub max: usize,
    /// Of one network (an IPv4 address, a /48 of IPv6), while there is no place for others.
    pub share: usize,
    /// The proxies that bring many clients. They have no share.
    pub proxies: TrustedProxies,
}

/// Counts connections. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct ConnectionMetrics {
    /// Those that are open.
    pub open: Gauge,
    /// Those that found no place.
    pub refused: Counter,
    /// Those that were closed to make way.
    pub displaced: Counter,
}

/// The open connections of a listener.
#[derive(Debug)]
pub struct OpenConnections {
    limits: ConnectionLimits,
    metrics: ConnectionMetrics,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    /// By the address of the peer.
    entries: HashMap<SocketAddr, Entry>,
    /// How many connections each network has, and each block.
    counts: HashMap<IpNet, usize>,
}

#[derive(Debug)]
struct Entry {
    connection: Arc<Connection>,
    /// None of a trusted proxy.
    network: Option<Network>,
    control: ConnCtrl,
    closing: CancellationToken,
}

/// Where connections come from: a /64 of IPv6 in its /48, which one customer of a provider may have (RFC 6177), or an IPv4 address, which is
/// both.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Network {
    block: IpNet,
    own: IpNet,
}

/// A connection that is listed until this is dropped.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) connection: Arc<Connection>,
    pub(super) closing: CancellationToken,
    peer: SocketAddr,
    all: Arc<OpenConnections>,
}

impl OpenConnections {
    /// No connections, with these limits.
    pub fn new(limits: ConnectionLimits, metrics: ConnectionMetrics) -> Arc<Self> {
        Arc::new(Self { limits, metrics, list: Mutex::default() })
    }

    /// Lists a new connection. When there are as many as may be, those that were idle longest make way, first of the network that has most.
    /// When all are busy, the newest of a network beyond its share does. A network beyond its share displaces none but its own.
    pub(super) fn admit(
        self: &Arc<Self>,
        peer: SocketAddr,
        control: ConnCtrl,
        closing: CancellationToken,
    ) -> Option<Listed> {
        let address = peer.ip().to_canonical();
        let network = (!self.limits.proxies.trusts(address)).then(|| Network::of(address));
        let connection = Arc::new(Connection::default());
        let mut list = self.list();
        // The peer may have closed, and connected again from the same port.
        list.remove(peer);
        if list.entries.len() >= self.limits.max && !self.make_way(&mut list, network) {
            self.metrics.refused.inc();
            return None;
        }
        list.insert(peer, Entry { connection: Arc::clone(&connection), network, control, closing: closing.clone() });
        self.metrics.count(&list);
        drop(list);
        Some(Listed { connection, closing, peer, all: Arc::clone(self) })
    }

    fn make_way(&self, list: &mut List, newcomer: Option<Network>) -> bool {
        let is_greedy = list.size(newcomer).0 >= self.limits.share;
        let mut leaving = list.idle(newcomer.filter(|_| is_greedy));
        leaving.truncate((self.limits.max / ROUND).max(1));
        if leaving.is_empty() && !is_greedy {
            leaving.extend(list.newest_beyond(self.limits.share));
        }
        for peer in &leaving {
            list.remove(*peer).iter().for_each(Entry::close);
            self.metrics.displaced.inc();
        }
        !leaving.is_empty()
    }

    /// The connection of this peer.
    pub(super) fn find(&self, peer: SocketAddr) -> Option<Arc<Connection>> {
        self.list().entries.get(&peer).map(|entry| Arc::clone(&entry.connection))
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionMetrics {
    fn count(&self, list: &List) {
        self.open.set(i64::try_from(list.entries.len()).unwrap_or(i64::MAX));
    }
}

impl List {
    fn insert(&mut self, peer: SocketAddr, entry: Entry) {
        for part in entry.network.iter().flat_map(Network::parts) {
            *self.counts.entry(part).or_default() += 1;
        }
        self.entries.insert(peer, entry);
    }

    fn remove(&mut self, peer: SocketAddr) -> Option<Entry> {
        let entry = self.entries.remove(&peer)?;
        for part in entry.network.iter().flat_map(Network::parts) {
            self.counts.entry(part).and_modify(|count| *count -= 1);
            if self.counts.get(&part) == Some(&0) {
                self.counts.remove(&part);
            }
        }
        Some(entry)
    }

    /// The connections of the network's block and its own. None of a trusted proxy.
    fn size(&self, network: Option<Network>) -> (usize, usize) {
        let count = |part| self.counts.get(&part).copied().unwrap_or(0);
        network.map_or((0, 0), |network| (count(network.block), count(network.own)))
    }

    /// The idle connections, of this network's block or of all, in the order in which they make way.
    fn idle(&self, only: Option<Network>) -> Vec<SocketAddr> {
        let may_go = |entry: &Entry| {
            entry.connection.is_idle()
                && only.is_none_or(|only| entry.network.is_some_and(|own| own.block == only.block))
        };
        let idle = self.entries.iter().filter(|(_, entry)| may_go(entry));
        let mut idle: Vec<_> =
            idle.map(|(peer, entry)| (Reverse(self.size(entry.network)), entry.connection.turn(), *peer)).collect();
        idle.sort_unstable();
        idle.into_iter().map(|(_, _, peer)| peer).collect()
    }

    /// The newest connection of the largest network beyond its share.
    fn newest_beyond(&self, share: usize) -> Option<SocketAddr> {
        if self.counts.values().all(|count| *count <= share) {
            return None;
        }
        let all = self.entries.iter().map(|(peer, entry)| (self.size(entry.network), entry.connection.turn(), *peer));
        all.filter(|((block, _), ..)| *block > share).max().map(|(.., peer)| peer)
    }
}

impl Entry {
    /// Closes the connection: at once when a request is in progress, else without an error.
    fn close(&self) {
        self.closing.cancel();
        if !self.connection.is_idle() {
            self.control.abort();
        }
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        let part = |length| IpNet::new(address, length).map_or_else(|_| address.into(), |network| network.trunc());
        Self { block: part(48), own: part(64) }
    }

    /// What counts its connections.
    fn parts(&self) -> impl Iterator<Item = IpNet> + use<> {
        let own = (self.own != self.block).then_some(self.own);
        [Some(self.block), own].into_iter().flatten()
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut list = self.all.list();
        let is_listed = |entry: &Entry| Arc::ptr_eq(&entry.connection, &self.connection);
        if list.entries.get(&self.peer).is_some_and(is_listed) {
            list.remove(self.peer);
            self.all.metrics.count(&list);
        }
    }
}

#[cfg(test)]
mod tests {
    use salvo::http::Version;

    use super::*;
    use crate::http::connections::connection::RunningRequest;

    fn open(max: usize, share: usize) -> Arc<OpenConnections> {
        let proxies = ["10.0.0.0/8".parse().expect("a network")].into_iter().collect();
        OpenConnections::new(ConnectionLimits { max, share, proxies }, ConnectionMetrics::default())
    }

    impl OpenConnections {
        fn connect(self: &Arc<Self>, peer: &str) -> Option<Listed> {
            self.admit(peer.parse().expect("an address"), ConnCtrl::new(), CancellationToken::new())
        }
    }

    fn request(listed: Option<&Listed>) -> RunningRequest {
        listed.expect("admitted").connection.begin(Version::HTTP_11)
    }

    #[test]
    fn the_connection_that_was_idle_longest_makes_way() {
        let all = open(3, 2);
        let [one, two, three] = ["1.0.0.1:1", "1.0.0.2:1", "1.0.0.3:1"].map(|peer| all.connect(peer));
        let busy = request(one.as_ref());
        drop(request(two.as_ref()));
        let new = all.connect("1.0.0.4:1");
        assert!(new.is_some());
        let closed =
            [&one, &two, &three].map(|listed| listed.as_ref().is_some_and(|listed| listed.closing.is_cancelled()));
        assert_eq!(closed, [false, false, true]);
        drop(busy);
        assert_eq!((all.metrics.open.get(), all.metrics.displaced.get(), all.metrics.refused.get()), (3, 1, 0));
    }

    #[test]
    fn a_network_beyond_its_share_displaces_none_but_its_own() {
        let all = open(4, 2);
        let other = all.connect("[2001:db8:1::1]:1");
        let flood = ["[2001:db8:2::1]:1", "[2001:db8:2::2]:1", "[2001:db8:2::3]:1"].map(|peer| all.connect(peer));
        let busy = flood.each_ref().map(|listed| request(listed.as_ref()));
        assert!(all.connect("[2001:db8:2::4]:1").is_none(), "all its connections are busy");
        assert!(!other.as_ref().expect("admitted").closing.is_cancelled());
        let _other_busy = request(other.as_ref());
        let new = all.connect("1.0.0.1:1");
        assert!(new.is_some(), "the newest of the flood made way");
        drop(busy);
        assert!(all.connect("[2001:db8:2::5]:1").is_some());
        assert!(all.connect("[2001:db8:2:9::1]:1").is_some(), "a /64 counts in its /48");
        assert!(!new.expect("admitted").closing.is_cancelled());
    }

    #[test]
    fn a_trusted_proxy_has_no_share() {
        let all = open(3, 1);
        let proxy = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"].map(|peer| all.connect(peer));
        let _busy = proxy.each_ref().map(|listed| request(listed.as_ref()));
        assert!(all.connect("1.0.0.1:1").is_none());
        drop(proxy);
        assert_eq!(all.metrics.open.get(), 0);
    }
}
