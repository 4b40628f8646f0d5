//! One round trip for many callers.

use faceofmind_runtime::legacy::{Failure, Permit, Reply};

use super::{
    LimitError, Taken,
    store::{Ledger, Outcome},
    window::Order,
};

type Taker = (Reply<Result<Taken, LimitError>>, Permit);
type Giver = (Reply<Result<(), Failure>>, Permit);

/// A call that waits for the next round trip, with its place in the mailbox.
pub(super) enum Call {
    Take(Order, Taker),
    GiveBack(Taken, Giver),
}

/// The calls of one round trip, sorted by what they want.
#[derive(Default)]
pub(super) struct Round {
    orders: Vec<Order>,
    takers: Vec<Taker>,
    gifts: Vec<Taken>,
    givers: Vec<Giver>,
}

impl FromIterator<Call> for Round {
    fn from_iter<I: IntoIterator<Item = Call>>(calls: I) -> Self {
        let mut round = Self::default();
        for call in calls {
            match call {
                Call::Take(_, (_, permit)) if permit.is_orphaned() => {}
                Call::Take(order, taker) => {
                    round.orders.push(order);
                    round.takers.push(taker);
                }
                Call::GiveBack(taken, giver) => {
                    round.gifts.push(taken);
                    round.givers.push(giver);
                }
            }
        }
        round
    }
}

impl Round {
    /// Makes the trip. What is given back goes first, so that it makes room for what is taken.
    pub(super) async fn go(self, ledger: &Ledger) {
        if !self.gifts.is_empty() {
            tell_givers(self.givers, &ledger.give_back(self.gifts).await);
        }
        if !self.orders.is_empty() {
            tell_takers(self.takers, ledger.take(&self.orders).await);
        }
    }
}

fn tell_givers(givers: Vec<Giver>, done: &Result<(), Failure>) {
    for (reply, _place) in givers {
        reply.send(done.as_ref().copied().map_err(same));
    }
}

fn tell_takers(takers: Vec<Taker>, outcomes: Result<Vec<Outcome>, Failure>) {
    match outcomes {
        Ok(outcomes) => {
            for ((reply, _place), outcome) in takers.into_iter().zip(outcomes) {
                reply.send(outcome.map_err(|retry_after| LimitError::Exceeded { retry_after }));
            }
        }
        Err(failure) => takers.into_iter().for_each(|(reply, _place)| reply.send(Err(same(&failure).into()))),
    }
}

/// The failure of the round trip, for each of its callers.
fn same(failure: &Failure) -> Failure {
    Failure::Dependency { service: "the counters", reason: failure.to_string() }
}
