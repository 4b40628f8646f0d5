//! The client and the request that a message comes from.

use std::net::{IpAddr, Ipv6Addr};

use crate::event::EventContext;

/// The client and the request that a message comes from.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The client's network address, as the trusted proxies report it.
    pub client_ip: String,
    /// A label of the client's device.
    pub device: String,
    /// The languages that the client accepts: BCP 47 tags, the most preferred first.
    pub languages: Vec<String>,
    /// The context of the events that the request causes.
    pub events: EventContext,
}

impl RequestContext {
    /// Returns the key by which rate limits count the client; see [`rate_limit_key`].
    pub fn rate_limit_key(&self) -> String {
        rate_limit_key(&self.client_ip)
    }
}

/// Returns the key by which rate limits count an address: an IPv4 address, or the /64 of an IPv6 address, which one subscriber has to
/// itself (RFC 6177) and could walk through at will.
pub fn rate_limit_key(client_ip: &str) -> String {
    block(client_ip, 4)
}

/// Returns the block of which an address's [`rate_limit_key`] is a part, where one customer may hold all of it: the /48 of an IPv6 address
/// (RFC 6177). An IPv4 address is alone.
pub fn rate_limit_group(client_ip: &str) -> String {
    block(client_ip, 3)
}

/// Returns the block of an IPv6 address that its first segments of 16 bits name. Another address is its own block.
fn block(client_ip: &str, segments: usize) -> String {
    match client_ip.parse() {
        Ok(IpAddr::V6(address)) => {
            let mut first = address.segments();
            first[segments..].fill(0);
            format!("{}/{}", Ipv6Addr::from(first), segments * 16)
        }
        _ => client_ip.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_of_one_ipv6_subscriber_have_one_key() {
        assert_eq!(rate_limit_key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(rate_limit_key("2001:db8:1:2::9"), rate_limit_key("2001:db8:1:2:3:4:5:6"));
        assert_ne!(rate_limit_key("2001:db8:1:3::9"), rate_limit_key("2001:db8:1:2::9"));
        assert_eq!(rate_limit_key("203.0.113.7"), "203.0.113.7");
        assert_eq!(rate_limit_group("2001:db8:1:2::9"), rate_limit_group("2001:db8:1:3::9"));
        assert_ne!(rate_limit_group("2001:db8:1:2::9"), rate_limit_group("2001:db8:2:2::9"));
    }
}
