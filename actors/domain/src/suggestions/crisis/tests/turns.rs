//! Long texts wait for their turn and are searched off the async workers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::until;

const LONG: usize = MAX_INLINE_BYTES + 1;
const ADA: UserId = UserId(1);
const BOB: UserId = UserId(2);
const EVE: UserId = UserId(3);

/// A search that lasts until the sender is used or dropped.
fn search_until_told(user: UserId, begun: &Arc<AtomicUsize>) -> (mpsc::Sender<()>, JoinHandle<Result<(), AskError>>) {
    let (tell, told) = mpsc::channel();
    let begun = Arc::clone(begun);
    let searching = move || {
        begun.fetch_add(1, Ordering::SeqCst);
        // A search on this test's own thread would wait for what the test does next.
        assert!(told.recv_timeout(Duration::from_secs(20)) != Err(mpsc::RecvTimeoutError::Timeout), "nothing told it");
    };
    (tell, tokio::spawn(search(user, LONG, searching)))
}

/// All searches of the process share their places, so that no other test of this crate may search long texts.
#[tokio::test]
async fn long_texts_are_searched_off_the_async_workers_by_turns_between_users() {
    let own = thread::current().id();
    let searched_on = |bytes| search(ADA, bytes, || thread::current().id());
    assert_eq!(searched_on(MAX_INLINE_BYTES).await, Ok(own), "a short text is searched at once");
    assert_ne!(searched_on(LONG).await, Ok(own));

    let begun = Arc::<AtomicUsize>::default();
    let places = available_parallelism().map_or(1, NonZero::get);
    let mut of_eve: Vec<_> = (0..places).map(|_| search_until_told(EVE, &begun)).collect();
    until("every place is taken", async || begun.load(Ordering::SeqCst) == places).await;
    let turns = Arc::<Mutex<Vec<UserId>>>::default();
    let mut waiting = Vec::new();
    for (user, texts) in [(ADA, 10), (BOB, 1)] {
        for _ in 0..texts {
            let turns = Arc::clone(&turns);
            let searching = move || turns.lock().expect("no test panicked with it").push(user);
            waiting.push(tokio::spawn(search(user, LONG, searching)));
        }
        until("they wait", async || SEARCHES.waiting() == waiting.len()).await;
    }
    assert_eq!(search(BOB, MAX_INLINE_BYTES, || 7).now_or_never(), Some(Ok(7)), "a short text waits for no place");
    assert_eq!(turns.lock().expect("no test panicked with it").len(), 0);

    // One place becomes free, and all of them pass it one after the other.
    let (tell, searched) = of_eve.pop().expect("a place");
    drop(tell);
    searched.await.expect("no panic").expect("is searched");
    for searched in waiting {
        searched.await.expect("no panic").expect("is searched");
    }
    let turns = turns.lock().expect("no test panicked with it").clone();
    assert_eq!((turns.len(), &turns[..3]), (11, [ADA, BOB, ADA].as_slice()), "{turns:?}");
    drop(of_eve);
}
