//! The limit of a body's size, and what happens to an unread body.

use std::time::Duration;

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    http::{
        Body as _, ReqBody,
        header::{CONTENT_LENGTH, EXPECT},
    },
};

use crate::http::{body::next_data, place, problem::Problem};

/// How many bytes of an unread body are drained, at most, and for how long.
const MAX_DRAINED: usize = 16 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Rejects a body that declares more bytes than the limit (413), and sets the same limit for bodies without a declared length.
///
/// An unread body is drained before the response is sent. Closing a connection with unread bytes resets it, and the
/// client would see the reset instead of the response.
pub struct BodyLimit {
    /// The largest body, in bytes.
    pub max_bytes: usize,
}

#[async_trait]
impl Handler for BodyLimit {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        req.set_secure_max_size(self.max_bytes);
        if declared_length(req).is_some_and(|length| length > self.max_bytes as u64) {
            Problem::too_large(self.max_bytes).write(req, depot, res).await;
            ctrl.skip_rest();
        } else {
            ctrl.call_next(req, depot, res).await;
        }
        place::give_back(req);
        drain(req).await;
    }
}

fn declared_length(req: &Request) -> Option<u64> {
    req.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads and drops an unread body, so that the client sees the response and not a reset.
pub(super) async fn drain(req: &mut Request) {
    // A client that waits for `100 Continue` has not sent its body, and reading would ask for it.
    if req.body().is_end_stream() || req.headers().contains_key(EXPECT) {
        return;
    }
    if tokio::time::timeout(DRAIN_TIMEOUT, read_to_end(req.take_body())).await.is_err() {
        tracing::debug!("unread body was not drained in time; the connection may be reset");
    }
}

async fn read_to_end(mut body: ReqBody) {
    let mut read = 0;
    while let Ok(Some(data)) = next_data(&mut body).await {
        read += data.len();
        if read > MAX_DRAINED {
            return;
        }
    }
}
