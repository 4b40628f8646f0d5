//! Asks clients of a service that stops to open their next connection elsewhere.

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, async_trait,
    http::{HeaderValue, Version, header::CONNECTION},
};

use crate::http::state::{AppState, State};

/// Adds `Connection: close` to each response of a service that stops (RFC 9112 §9.6). HTTP/2 has no such header: the server says GOAWAY when
/// its listener closes.
pub struct CloseWhenStopping;

#[async_trait]
impl Handler for CloseWhenStopping {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        ctrl.call_next(req, depot, res).await;
        if req.version() < Version::HTTP_2
            && State::<AppState>::of(depot).is_ok_and(|state| state.stopping.is_cancelled())
        {
            res.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}
