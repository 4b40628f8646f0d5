//! The limit of a body's size, and what happens to an unread body.

use std::time::Duration;

use salvo::{
    Request,
    http::{
        Body as _, ReqBody,
        header::{CONTENT_LENGTH, EXPECT},
    },
};

use crate::http::{body::next_data, problem::Problem};

/// How many bytes of an unread body are drained, at most, and for how long.
const MAX_DRAINED: usize = 16 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Sets the limit of the body, in bytes.
///
/// # Errors
/// 413 for a body that declares more.
pub(super) fn limit_body(req: &mut Request, max_bytes: usize) -> Result<(), Problem> {
    req.set_secure_max_size(max_bytes);
    match declared_length(req) {
        Some(length) if length > max_bytes as u64 => Err(Problem::too_large(max_bytes)),
        _ => Ok(()),
    }
}

fn declared_length(req: &Request) -> Option<u64> {
    req.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads and drops an unread body before the response is sent. Closing a connection with unread bytes resets it, and the client would see the reset
/// instead of the response.
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
