//! Asks clients of a service that stops to open their next connection elsewhere.

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, async_trait,
    http::{HeaderValue, Version, header::CONNECTION},
};
use tokio_util::sync::CancellationToken;

/// Adds `Connection: close` to each response of a service that stops (RFC 9112 §9.6), once the token is cancelled. HTTP/2 has no such header:
/// the server says GOAWAY when its listener closes.
pub struct CloseWhenStopping(pub CancellationToken);

#[async_trait]
impl Handler for CloseWhenStopping {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        ctrl.call_next(req, depot, res).await;
        if self.0.is_cancelled() && req.version() < Version::HTTP_2 {
            res.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}
