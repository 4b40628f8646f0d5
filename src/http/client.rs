//! The client: its IP address behind our own proxies, and a label for its device.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use faceofmind_domain::logins::DEVICE_TOKEN_LIFETIME;
use ipnet::IpNet;
use salvo::{
    Response,
    http::{
        HeaderMap, HeaderValue,
        header::{COOKIE, SET_COOKIE},
    },
    oapi::{BasicType, Header, Object},
};

const FORWARDED_FOR: &str = "X-Forwarded-For";
/// The longest label of a device, in characters.
const MAX_LABEL: usize = 200;

/// The networks of proxies whose `X-Forwarded-For` is believed (`TRUSTED_PROXIES`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl FromIterator<IpNet> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl TrustedProxies {
    /// Whether the headers name another client than this peer, and the peer is not trusted to do so.
    pub fn ignore_forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        headers.contains_key(FORWARDED_FOR) && !self.trusts(peer.to_canonical())
    }

    /// The IP address of the client: the peer's, or, when the peer is a trusted proxy, the right-most hop of
    /// `X-Forwarded-For` that is not one. A hop that is not an address ends the search at the last valid one, because
    /// what stands further left may be forged.
    pub fn client_ip(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
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

    /// Whether this peer is one of them.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The hops from right to left, over all headers of that name; `None` for one that is not an address.
fn hops(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let values: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    values.into_iter().rev().flat_map(|value| match value.to_str() {
        Ok(text) => text.rsplit(',').map(parse_hop).collect(),
        Err(_) => vec![None],
    })
}

/// An address, with or without brackets or a port.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|with_port: SocketAddr| with_port.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// The IP address of the client, which [`super::edge`] puts into the depot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

/// The cookie that holds the device token.
pub const DEVICE_COOKIE: &str = "faceofmind_device";

/// The device token in the request's cookies (RFC 6265 §4.2.1).
pub fn device_token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(name, token)| (name == DEVICE_COOKIE).then_some(token))
}

/// Sets the cookie with the device token. Scripts cannot read it, and only calls under `/auth` of this site send it.
pub fn set_device_cookie(response: &mut Response, token: &str, secure: bool) {
    let (age, secure) = (DEVICE_TOKEN_LIFETIME.as_secs(), if secure { "; Secure" } else { "" });
    let cookie =
        format!("{DEVICE_COOKIE}={token}; Path=/api/v1/auth; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = cookie.parse() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// Describes the header of [`set_device_cookie`].
pub fn device_cookie_header() -> Header {
    let age = DEVICE_TOKEN_LIFETIME.as_secs();
    let fixed = format!("; Path=/api/v1/auth; Max-Age={age}; HttpOnly; SameSite=Strict");
    let value = Object::with_type(BasicType::String).pattern(format!("^{DEVICE_COOKIE}=[^;]+{fixed}(; Secure)?$"));
    Header::new(value).required(true).description("The device token. `Secure` is set in production.")
}

/// The label of the client's device: at most 200 printable ASCII characters of its `User-Agent`, or `unknown device`.
/// Mails and lists show it, so control characters and characters that look like others are left out.
pub fn device(user_agent: Option<&HeaderValue>) -> String {
    let user_agent = user_agent.map_or(&b""[..], HeaderValue::as_bytes);
    let printable = user_agent.iter().filter(|byte| (b' '..=b'~').contains(byte));
    let label: String = printable.take(MAX_LABEL).map(|byte| char::from(*byte)).collect();
    let label = label.trim();
    if label.is_empty() { "unknown device" } else { label }.to_owned()
}

#[cfg(test)]
mod tests {
    use salvo::{Depot, Request, Router, handler, http::header::USER_AGENT, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::{
        edge::HttpConfig,
        testing::{Served, answer, http_config},
    };

    fn client(trusted: &str, peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().expect("a header value"));
        }
        let network = |text: &str| text.parse().or_else(|_| text.parse().map(|address: IpAddr| address.into()));
        let trusted = trusted.split_terminator(',').map(|text| network(text).expect("a network"));
        trusted.collect::<TrustedProxies>().client_ip(peer.parse().expect("an address"), &headers).to_string()
    }

    #[test]
    fn without_trusted_proxies_the_peer_is_the_client_whatever_it_claims() {
        assert_eq!(client("", "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client("10.0.0.0/8", "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
    }

    #[test]
    fn the_client_is_the_right_most_hop_that_is_not_a_trusted_proxy() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.2.3.4"]), "198.51.100.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["6.6.6.6, 198.51.100.1", "10.2.3.4"]), "198.51.100.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["10.9.9.9, 10.2.3.4"]), "10.9.9.9");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn a_hop_that_is_not_an_address_ends_the_search() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["198.51.100.1, unknown, 10.2.3.4"]), "10.2.3.4");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["198.51.100.1, "]), "10.0.0.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["é"]), "10.0.0.1");
    }

    #[test]
    fn addresses_are_parsed_in_all_their_forms() {
        assert_eq!(client("10.0.0.1", "10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(client("fd00::/8", "fd00::1", &["[2001:db8::7]:4711, [fd00::2]"]), "2001:db8::7");
        assert_eq!(client("10.0.0.0/8", "::ffff:10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("::1", "::1", &["2001:DB8::0:7"]), "2001:db8::7");
    }

    #[handler]
    async fn client_of(req: &Request, depot: &Depot) -> Json<[String; 2]> {
        let ip = depot.get_typed::<ClientIp>().expect("the address of the client");
        Json([ip.0.to_string(), device(req.headers().get(USER_AGENT))])
    }

    fn routes() -> Router {
        Router::with_path("api/client").get(client_of)
    }

    #[tokio::test]
    async fn handlers_see_the_address_and_the_device_of_the_client() {
        let proxies = [IpNet::new([127, 0, 0, 0].into(), 8).expect("a network")].into_iter().collect();
        let api = Served::with(routes, HttpConfig { proxies, ..http_config() }).await;
        let request = api.get("/api/client").header("x-forwarded-for", "198.51.100.1");
        let labelled = answer(request.header("user-agent", "Dart/3.5\t(dart:io) \u{e9}")).await;
        assert_eq!(labelled.json, json!(["198.51.100.1", "Dart/3.5(dart:io)"]));
        let unlabelled = answer(api.get("/api/client")).await;
        assert_eq!(unlabelled.json, json!(["127.0.0.1", "unknown device"]));
        let long = answer(api.get("/api/client").header("user-agent", "x".repeat(5000))).await;
        assert_eq!(long.json[1], "x".repeat(200));
    }
}
