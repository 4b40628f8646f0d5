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
        match self.address.parse() {
            Ok(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            _ => self.address.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::Cause;

    #[test]
    fn all_addresses_of_one_ipv6_subscriber_count_as_one() {
        let counted = |address: &str| {
            let origin = Origin::new(Cause::Anonymous);
            Client { address: address.into(), device: String::new(), languages: Vec::new(), origin }.counted_as()
        };
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(counted("2001:db8:1:2::9"), counted("2001:db8:1:2:3:4:5:6"));
        assert_ne!(counted("2001:db8:1:3::9"), counted("2001:db8:1:2::9"));
        assert_eq!(counted("203.0.113.7"), "203.0.113.7");
    }
}
