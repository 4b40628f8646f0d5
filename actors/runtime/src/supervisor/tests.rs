use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{Actor, Address, Errands, Permit, Reply};

/// An actor that counts, refuses to start when told so, and panics on demand.
struct Counter {
    count: u32,
    held: Vec<(Reply<Result<u32, Failure>>, Permit)>,
    errands: Errands,
}

enum Ask {
    Add(u32, Reply<Result<u32, Failure>>),
    Hold(Reply<Result<u32, Failure>>),
    Errand(Reply<Result<u32, Failure>>),
    Panic(Reply<Result<u32, Failure>>),
    Slice(String, Reply<Result<u32, Failure>>),
}

impl Actor for Counter {
    type Message = Ask;

    async fn receive(&mut self, message: Ask, permit: Permit) {
        match message {
            Ask::Add(more, reply) => {
                self.count += more;
                reply.send(Ok(self.count));
            }
            Ask::Hold(reply) => self.held.push((reply, permit)),
            Ask::Errand(reply) => self.errands.answer(reply, permit, async { panic!("an errand went wrong") }),
            Ask::Panic(_reply) => panic!("asked to"),
            Ask::Slice(said, reply) => reply.send(Ok(u32::try_from(said[1..].len()).expect("short"))),
        }
    }

    fn observe(&self) -> serde_json::Value {
        serde_json::json!({ "count": self.count })
    }
}

struct Universe {
    tree: SupervisorHandle,
    address: Address<Ask>,
    starts: Arc<AtomicU32>,
}

async fn universe(refuse_from: u32) -> Universe {
    let address = Address::new("counter", 2, Duration::from_secs(5));
    let starts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&starts);
    let child = Child::new(address.clone(), move || {
        let start = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match start {
                start if start < refuse_from => Ok(Counter { count: 0, held: Vec::new(), errands: Errands::default() }),
                _ => Err(Failure::Unavailable("the store")),
            }
        }
    });
    let backoff = Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(5) };
    let policy = Policy { restarts: 3, within: Duration::from_secs(60), backoff };
    let family = Family { children: vec![child], policy, clock: Clock::system(), rng: Rng::seeded(1) };
    Universe { tree: Supervisor::start(family).await.expect("the tree starts"), address, starts }
}

impl Universe {
    async fn add(&self, more: u32) -> Result<u32, Failure> {
        self.address.ask(|reply| Ask::Add(more, reply)).await
    }

    async fn until_it_answers(&self) -> u32 {
        let patience = async {
            loop {
                match self.add(1).await {
                    Ok(count) => return count,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), patience).await.expect("it is restarted")
    }
}

#[tokio::test]
async fn a_panic_is_heard_at_once_and_the_same_address_answers_again() {
    let universe = universe(99).await;
    assert_eq!(universe.add(5).await.expect("it runs"), 5);

    let heard: Result<u32, Failure> = universe.address.ask(Ask::Panic).await;

    assert!(matches!(heard, Err(Failure::Unavailable("counter"))), "{heard:?}");
    assert_eq!(universe.until_it_answers().await, 1, "a new actor, a new state");
    let row = universe.tree.snapshot().remove(0);
    assert_eq!((row.state, row.restarts, row.last_cause.as_deref()), (State::Running, 1, Some("asked to")));
}

#[tokio::test]
async fn the_cause_of_a_restart_quotes_nobody() {
    let universe = universe(99).await;
    let said = "\u{2019}I feel low".to_owned();
    let heard: Result<u32, Failure> = universe.address.ask(|reply| Ask::Slice(said, reply)).await;
    assert!(matches!(heard, Err(Failure::Unavailable("counter"))), "{heard:?}");
    universe.until_it_answers().await;
    let cause = universe.tree.snapshot().remove(0).last_cause.expect("it failed");
    assert!(cause.contains("panic") && !cause.contains("low"), "{cause}");
}

#[tokio::test]
async fn letters_in_the_mailbox_of_a_dead_actor_are_answered_at_once() {
    let universe = universe(99).await;
    let held: Result<u32, Failure> = async {
        let (held, killed) =
            tokio::join!(universe.address.ask(Ask::Hold), universe.address.ask::<u32, Failure>(Ask::Panic));
        assert!(matches!(killed, Err(Failure::Unavailable(_))));
        held
    }
    .await;
    assert!(matches!(held, Err(Failure::Unavailable("counter"))), "{held:?}");
    assert_eq!(universe.address.depth(), 0, "their places are free");
}

#[tokio::test]
async fn a_full_mailbox_is_busy_at_once() {
    let universe = universe(99).await;
    let (first, second) = (universe.address.clone(), universe.address.clone());
    let holding =
        [first, second].map(|address| tokio::spawn(async move { address.ask::<u32, Failure>(Ask::Hold).await }));
    while universe.address.depth() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(universe.add(1).await, Err(Failure::Busy("counter"))));
    assert_eq!(universe.address.observe().await.expect("watching needs no place")["count"], 0);
    holding.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_letter_whose_caller_has_gone_is_not_dealt_with() {
    let universe = universe(99).await;
    {
        let mut asking = std::pin::pin!(universe.add(7));
        let polled_once = std::future::poll_fn(|context| std::task::Poll::Ready(asking.as_mut().poll(context))).await;
        assert!(polled_once.is_pending(), "the letter is on its way, its caller leaves");
    }
    assert_eq!(universe.add(1).await.expect("it runs"), 1);
}

#[tokio::test]
async fn an_errand_that_panics_costs_its_own_caller_only() {
    let universe = universe(99).await;
    let heard: Result<u32, Failure> = universe.address.ask(Ask::Errand).await;
    assert!(matches!(heard, Err(Failure::Unavailable("counter"))));
    assert_eq!(universe.add(1).await.expect("the actor lives on"), 1);
    assert_eq!(universe.starts.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn beyond_the_intensity_limit_it_escalates() {
    let mut universe = universe(99).await;
    for _ in 0..3 {
        universe.until_it_answers().await;
        drop(universe.address.ask::<u32, Failure>(Ask::Panic).await);
    }
    universe.until_it_answers().await;
    drop(universe.address.ask::<u32, Failure>(Ask::Panic).await);

    assert_eq!(universe.tree.escalated().await, "counter");
    let row = universe.tree.snapshot().remove(0);
    assert_eq!((row.state, row.restarts), (State::GivenUp, 3));
}

#[tokio::test]
async fn a_child_that_cannot_start_again_counts_as_failing() {
    let mut universe = universe(1).await;
    drop(universe.address.ask::<u32, Failure>(Ask::Panic).await);
    assert_eq!(universe.tree.escalated().await, "counter");
    assert_eq!(universe.starts.load(Ordering::SeqCst), 4, "once, and three restarts");
}

#[tokio::test]
async fn stopping_deals_with_the_mailbox_first() {
    let universe = universe(99).await;
    let address = universe.address.clone();
    let adding = tokio::spawn(async move { address.ask::<u32, Failure>(|reply| Ask::Add(2, reply)).await });
    while !adding.is_finished() && universe.address.depth() == 0 {
        tokio::task::yield_now().await;
    }
    universe.tree.stop(Duration::from_secs(1)).await;
    assert_eq!(adding.await.expect("no panic").expect("answered before the stop"), 2);
    assert!(matches!(universe.add(1).await, Err(Failure::Unavailable(_))));
    assert_eq!(universe.tree.snapshot()[0].state, State::Stopped);
}

/// An actor that tells itself something while it is made.
struct SelfTeller(u32);

impl Actor for SelfTeller {
    type Message = u32;

    async fn receive(&mut self, message: u32, _: Permit) {
        self.0 += message;
    }

    fn observe(&self) -> serde_json::Value {
        self.0.into()
    }
}

#[tokio::test]
async fn what_an_actor_tells_itself_while_it_is_made_it_hears() {
    let address = Address::new("self-teller", 2, Duration::from_secs(5));
    let own = address.clone();
    let child = Child::new(address.clone(), move || {
        own.tell(7);
        async { Ok(SelfTeller(0)) }
    });
    let family =
        Family { children: vec![child], policy: Policy::default(), clock: Clock::system(), rng: Rng::seeded(1) };
    let _tree = Supervisor::start(family).await.expect("the tree starts");
    assert_eq!(address.observe().await.expect("it runs"), 7);
}
