//! From where a person asks.

use crate::publisher::Origin;

/// The client of one request.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its network address, as the trusted proxies tell.
    pub address: String,
    /// A label of what it is.
    pub device: String,
    /// The language it prefers, a BCP 47 tag.
    pub language: Option<String>,
    /// Who caused it, and the ids to follow it by.
    pub origin: Origin,
}
