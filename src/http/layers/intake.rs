//! How much of a body is taken in, and what becomes of the rest.

use std::time::Duration;

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    http::{
        ReqBody,
        header::{CONTENT_LENGTH, EXPECT},
    },
};

use crate::http::{body::next_data, problem::Problem};

/// How much of a refused body is read and thrown away, and for how long.
const DISCARDED_AT_MOST: usize = 16 << 20;
const DISCARDED_WITHIN: Duration = Duration::from_secs(5);

/// Refuses a body that declares more bytes than this (413) and sets the same limit for those that declare nothing.
///
/// A body that nobody read is read away before the answer goes out: closing a connection with unread bytes resets it,
/// and the client would see the reset instead of the answer.
pub struct Intake {
    /// The largest body, in bytes.
    pub limit: usize,
}

#[async_trait]
impl Handler for Intake {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        req.set_secure_max_size(self.limit);
        if declared(req).is_some_and(|length| length > self.limit as u64) {
            Problem::too_large(self.limit).write(req, depot, res).await;
            ctrl.skip_rest();
        } else {
            ctrl.call_next(req, depot, res).await;
        }
        discard(req).await;
    }
}

fn declared(req: &Request) -> Option<u64> {
    req.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn discard(req: &mut Request) {
    // A client that waits for `100 Continue` has not sent its body, and reading would call for it.
    if req.headers().contains_key(EXPECT) {
        return;
    }
    let body = req.take_body();
    if tokio::time::timeout(DISCARDED_WITHIN, read_away(body)).await.is_err() {
        tracing::debug!("a client was too slow with a body that nobody wanted");
    }
}

async fn read_away(mut body: ReqBody) {
    let mut read = 0;
    while let Ok(Some(data)) = next_data(&mut body).await {
        read += data.len();
        if read > DISCARDED_AT_MOST {
            return;
        }
    }
}
