use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use crate::panics::PanicPayload;

pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, PanicPayload> {
    AssertUnwindSafe(work).catch_unwind().await
}
