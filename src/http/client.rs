//! Who is at the other end: the client's address behind our own proxies, and a label for its device.

use std::{
    fmt::Debug,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use ipnet::IpNet;
use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    http::{HeaderMap, header::USER_AGENT},
    oapi::{Components, EndpointArgRegister, Operation},
};

use super::problem::Problem;

const FORWARDED_FOR: &str = "X-Forwarded-For";
const LONGEST_LABEL: usize = 200;

/// The networks whose word about the client's address we take (`TRUSTED_PROXIES`: CIDRs and addresses, by comma).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = |text: &str| text.parse().map(|address: IpAddr| address.to_canonical().into());
    let network = text.parse().or_else(|_| address(text));
    network.map_err(|_| format!("`{text}` is neither an address nor a CIDR such as 10.0.0.0/8"))
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
        static NO_METADATA: Metadata = Metadata::new("");
        &NO_METADATA
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
    fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(USER_AGENT).map_or(&b""[..], |value| value.as_bytes());
        let printable = given.iter().filter(|byte| (b' '..=b'~').contains(byte));
        let label: String = printable.take(LONGEST_LABEL).map(|byte| char::from(*byte)).collect();
        let label = label.trim();
        Self(if label.is_empty() { "unknown device" } else { label }.to_owned())
    }
}

impl<'ex> Extractible<'ex> for Device {
    fn metadata() -> &'static Metadata {
        static NO_METADATA: Metadata = Metadata::new("");
        &NO_METADATA
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
