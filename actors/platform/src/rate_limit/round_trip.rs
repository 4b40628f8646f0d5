//! One round trip to the counters for many requests.

use faceofmind_db::StoreError;
use faceofmind_runtime::{AskError, ReplyTo};

use super::{
    actor::NAME,
    error::RateLimitError,
    messages::{Acquire, Refund},
    store::{CounterStore, Reservation},
    window::CounterRequest,
};

/// A request that waits for the next round trip, with its place in the mailbox.
pub(super) enum Request {
    Acquire(Vec<CounterRequest>, ReplyTo<Acquire>),
    Refund(Reservation, ReplyTo<Refund>),
}

/// The requests of one round trip, by kind.
#[derive(Default)]
pub(super) struct RoundTrip {
    requests: Vec<Vec<CounterRequest>>,
    waiters: Vec<ReplyTo<Acquire>>,
    refunds: Vec<Reservation>,
    refund_waiters: Vec<ReplyTo<Refund>>,
}

impl FromIterator<Request> for RoundTrip {
    fn from_iter<I: IntoIterator<Item = Request>>(requests: I) -> Self {
        let mut trip = Self::default();
        for request in requests {
            match request {
                Request::Acquire(_, reply) if reply.caller_gone() => {}
                Request::Acquire(counters, reply) => {
                    trip.requests.push(counters);
                    trip.waiters.push(reply);
                }
                Request::Refund(reservation, reply) => {
                    trip.refunds.push(reservation);
                    trip.refund_waiters.push(reply);
                }
            }
        }
        trip
    }
}

impl RoundTrip {
    /// Refunds go first, so that what they free can be acquired.
    pub(super) async fn run(self, store: &CounterStore) {
        if !self.refunds.is_empty() {
            if let Err(error) = store.refund(self.refunds).await {
                tracing::warn!(%error, "failed to refund rate limit uses; they stay counted until their windows end");
            }
            self.refund_waiters.into_iter().for_each(|reply| reply.send(Ok(())));
        }
        if !self.requests.is_empty() {
            reply_all(self.waiters, store.acquire(&self.requests).await);
        }
    }
}

fn reply_all(waiters: Vec<ReplyTo<Acquire>>, outcomes: Result<Vec<Result<Reservation, RateLimitError>>, StoreError>) {
    match outcomes {
        Ok(outcomes) => waiters.into_iter().zip(outcomes).for_each(|(reply, outcome)| reply.send(outcome)),
        Err(error) => {
            tracing::warn!(%error, requests = waiters.len(), "failed to count rate limit uses; the requests were refused");
            waiters.into_iter().for_each(|reply| reply.send(Err(AskError::Unavailable(NAME).into())));
        }
    }
}
