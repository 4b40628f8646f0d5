//! Who is at the other end: the client's address behind our own proxies, and a label for its device.

use std::{
    fmt::Debug,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    http::{HeaderMap, header::USER_AGENT},
    oapi::{Components, EndpointArgRegister, Operation},
};

use super::{no_metadata, problem::Problem};

const FORWARDED_FOR: &str = "X-Forwarded-For";
const LONGEST_LABEL: usize = 200;

/// The networks whose word about the client's address we take (`TRUSTED_PROXIES`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl FromIterator<IpNet> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl TrustedProxies {
    /// The client: the peer itself, or, told by trusted peers, the right-most hop of `X-Forwarded-For` that is not one
    /// of them. A hop that is no address ends the search at the last one that was understood: whoever wrote further
    /// left is not to be believed.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        for hop in hops(headers) {
            if !self.trusts(client) {
                break;
            }
            let Some(next) = hop else { break };
            client = next;
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The hops from right to left, over all headers of that name; `None` for one that is no address.
fn hops(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let values: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    values.into_iter().rev().flat_map(|value| match value.to_str() {
        Ok(text) => text.rsplit(',').map(hop).collect(),
        Err(_) => vec![None],
    })
}

/// An address, with or without brackets or a port.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|with_port: SocketAddr| with_port.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// The client's address, as the hoop [`super::layers::Arrival`] found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl<'ex> Extractible<'ex> for ClientAddress {
    fn metadata() -> &'static Metadata {
        no_metadata()
    }

    async fn extract(
        _req: &'ex mut Request,
        depot: &'ex mut Depot,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        depot.get_typed::<Self>().copied().map_err(|_| Problem::internal())
    }
}

/// What the client calls itself: at most 200 printable ASCII characters of its `User-Agent`, or `unknown device`.
/// It is shown in mails and lists, so nothing that could direct a terminal or a reader's eye passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device(pub String);

impl Device {
    /// The label of whoever sent these headers.
    pub fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(USER_AGENT).map_or(&b""[..], |value| value.as_bytes());
        let printable = given.iter().filter(|byte| (b' '..=b'~').contains(byte));
        let label: String = printable.take(LONGEST_LABEL).map(|byte| char::from(*byte)).collect();
        let label = label.trim();
        Self(if label.is_empty() { "unknown device" } else { label }.to_owned())
    }
}

impl<'ex> Extractible<'ex> for Device {
    fn metadata() -> &'static Metadata {
        no_metadata()
    }

    async fn extract(
        req: &'ex mut Request,
        _depot: &'ex mut Depot,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Ok::<_, Problem>(Self::of(req.headers()))
    }
}

impl EndpointArgRegister for ClientAddress {
    fn register(_: &mut Components, _: &mut Operation, _: &str) {}
}

impl EndpointArgRegister for Device {
    fn register(_: &mut Components, _: &mut Operation, _: &str) {}
}

#[cfg(test)]
mod tests {
    use salvo::{Router, oapi::endpoint, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::{
        router::Edge,
        testing::{Served, answer, edge},
    };

    fn client(trusted: &str, peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().expect("a header value"));
        }
        let network = |text: &str| text.parse().or_else(|_| text.parse().map(|address: IpAddr| address.into()));
        let trusted = trusted.split_terminator(',').map(|text| network(text).expect("a network"));
        trusted.collect::<TrustedProxies>().client(peer.parse().expect("an address"), &headers).to_string()
    }

    #[test]
    fn without_trusted_proxies_the_peer_is_the_client_whatever_it_claims() {
        assert_eq!(client("", "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
    }

    #[test]
    fn the_client_is_the_right_most_hop_that_is_not_ours() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.2.3.4"]), "198.51.100.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["6.6.6.6, 198.51.100.1", "10.2.3.4"]), "198.51.100.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["10.9.9.9, 10.2.3.4"]), "10.9.9.9");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn a_hop_that_is_no_address_ends_the_search() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["198.51.100.1, unknown, 10.2.3.4"]), "10.2.3.4");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["198.51.100.1, "]), "10.0.0.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["é"]), "10.0.0.1");
    }

    #[test]
    fn addresses_are_known_in_all_their_forms() {
        assert_eq!(client("10.0.0.1", "10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(client("fd00::/8", "fd00::1", &["[2001:db8::7]:4711, [fd00::2]"]), "2001:db8::7");
        assert_eq!(client("10.0.0.0/8", "::ffff:10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("::1", "::1", &["2001:DB8::0:7"]), "2001:db8::7");
    }

    #[endpoint]
    async fn who(address: ClientAddress, device: Device) -> Json<[String; 2]> {
        Json([address.0.to_string(), device.0])
    }

    fn routes() -> Router {
        Router::with_path("api/who").get(who)
    }

    #[tokio::test]
    async fn handlers_are_told_the_client_and_its_device() {
        let proxies = [IpNet::new([127, 0, 0, 0].into(), 8).expect("a network")].into_iter().collect();
        let api = Served::with(routes, Edge { proxies, ..edge() }).await;
        let request = api.get("/api/who").header("x-forwarded-for", "198.51.100.1");
        let told = answer(request.header("user-agent", "Dart/3.5\t(dart:io) \u{e9}")).await;
        assert_eq!(told.json, json!(["198.51.100.1", "Dart/3.5(dart:io)"]));
        let silent = answer(api.get("/api/who")).await;
        assert_eq!(silent.json, json!(["127.0.0.1", "unknown device"]));
        let long = answer(api.get("/api/who").header("user-agent", "x".repeat(5000))).await;
        assert_eq!(long.json[1], "x".repeat(200));
    }
}
