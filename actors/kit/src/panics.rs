//! Panics that are caught, and what may be said of them.

use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

/// What a panic carries.
pub type Payload = Box<dyn Any + Send>;

/// Does the work; a panic in it is handed back. What the work had borrowed may be half-done then.
///
/// # Errors
/// What the panic carries; see [`words`].
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Payload> {
    let mut work = pin!(work);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// The words of a panic that stand in the source as they are. One that was put together at run time may quote what people say, as that of
/// slicing a text does: nothing is told of it, and the panic hook tells where it was.
pub fn words(panic: &(dyn Any + Send)) -> &'static str {
    panic.downcast_ref::<&'static str>().copied().unwrap_or("a panic whose message is not told: it may quote people")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn words_of_the_source_are_told() {
        let panic = caught(async { panic!("nobody thought of this") }).await.map(|(): ()| ()).expect_err("a panic");
        assert_eq!(words(&*panic), "nobody thought of this");
        assert_eq!(caught(async { 7 }).await.expect("no panic"), 7);
    }

    #[tokio::test]
    async fn words_of_a_person_are_not() {
        let said = String::from("\u{2019}I feel low");
        let slicing = caught(async { said[1..].len() }).await.expect_err("not at a letter's edge");
        let telling = caught(async { panic!("cannot deal with {said}") }).await.map(|(): ()| 0).expect_err("told so");
        for panic in [slicing, telling] {
            let quoted = panic.downcast_ref::<String>().expect("a message made at run time");
            assert!(quoted.contains("feel low"), "{quoted}");
            assert!(!words(&*panic).contains("feel"));
        }
    }
}
