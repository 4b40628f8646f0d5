//! The `Host` of a request.

use salvo::{
    Request,
    http::{HeaderValue, Version, header::HOST, uri::Authority},
};

use crate::http::problem::Problem;

/// Checks that a request names one host (RFC 9112 §3.2). HTTP/1.0 has no `Host`, and HTTP/2 has `:authority` instead (RFC 9113 §8.3.1).
///
/// # Errors
/// 400 to a request without a `Host`, with two, or with one that is none.
pub(super) fn require_host(req: &Request) -> Result<(), Problem> {
    if names_one_host(req) { Ok(()) } else { Err(Problem::no_host()) }
}

fn names_one_host(req: &Request) -> bool {
    let mut hosts = req.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if req.version() == Version::HTTP_11 => false,
        (None, _) if req.version() < Version::HTTP_11 => true,
        (None, _) => req.uri().authority().is_some(),
        (Some(host), None) => is_host(host),
        (Some(_), Some(_)) => false,
    }
}

fn is_host(value: &HeaderValue) -> bool {
    let authority = value.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
    authority.is_some_and(|authority| !authority.as_str().contains('@'))
}
