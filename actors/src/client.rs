//! From where a person asks.

use std::net::{IpAddr, Ipv6Addr};

use crate::publisher::Origin;

/// The client of one request.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its network address, as the trusted proxies tell.
    pub address: String,
    /// A label of what it is.
    pub device: String,
    /// The languages that are read there, BCP 47 tags, the most wanted first.
    pub languages: Vec<String>,
    /// Who caused it, and the ids to follow it by.
    pub origin: Origin,
}

impl Client {
    /// Whom limits count as one: an IPv4 address, or the /64 that an IPv6 client has to itself (RFC 6177) and could go through at will.
    pub fn counted_as(&self) -> String {
        counted_as(&self.address)
    }
}

/// Whom limits count this address as; see [`Client::counted_as`].
pub fn counted_as(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        _ => address.to_owned(),
    }
}

/// Whether limits count so a whole network, and not one address.
pub fn is_network(counted_as: &str) -> bool {
    counted_as.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_of_one_ipv6_subscriber_count_as_one() {
        assert_eq!(counted_as("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(counted_as("2001:db8:1:2::9"), counted_as("2001:db8:1:2:3:4:5:6"));
        assert_ne!(counted_as("2001:db8:1:3::9"), counted_as("2001:db8:1:2::9"));
        assert_eq!(counted_as("203.0.113.7"), "203.0.113.7");
        assert!(is_network(&counted_as("2001:db8::1")) && !is_network(&counted_as("203.0.113.7")));
    }
}
