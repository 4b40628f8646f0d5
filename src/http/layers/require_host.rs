//! The `Host` of a request.

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    http::{HeaderValue, Version, header::HOST, uri::Authority},
};

use crate::http::problem::Problem;

/// Answers 400 to a request without a `Host`, with two, or with one that is none (RFC 9112 §3.2). HTTP/1.0 has no `Host`, and HTTP/2 has
/// `:authority` instead (RFC 9113 §8.3.1).
pub struct RequireHost;

#[async_trait]
impl Handler for RequireHost {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        if names_one_host(req) {
            ctrl.call_next(req, depot, res).await;
        } else {
            Problem::no_host().write(req, depot, res).await;
            ctrl.skip_rest();
        }
    }
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
