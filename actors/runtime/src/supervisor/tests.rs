use std::sync::atomic::{AtomicU32, Ordering};

use prometheus_client::{encoding::text::encode, registry::Registry};
use schemars::JsonSchema;

use super::*;
use crate::{Actor, AskError, Handle, Handler, Message, ReplyTo, TaskSet};

/// An actor that counts, refuses to start when told so, and panics on demand.
struct Counter {
    count: u32,
    held: Vec<ReplyTo<Hold>>,
    tasks: TaskSet,
}

#[derive(Serialize, JsonSchema)]
struct CounterStatus {
    count: u32,
}

/// Declares messages that reply with a number.
macro_rules! messages {
    ($($name:ident($($field:ty),*)),+ $(,)?) => {
        $(
            struct $name($($field),*);

            impl Message for $name {
                type Output = u32;
                type Error = AskError;
            }
        )+
    };
}

messages! { Add(u32), Hold(), SpawnPanic(), Panic(), Slice(String), Refuse() }

impl Actor for Counter {
    type Status = CounterStatus;

    fn status(&self) -> CounterStatus {
        CounterStatus { count: self.count }
    }
}

impl Handler<Add> for Counter {
    fn handle(&mut self, Add(more): Add, reply: ReplyTo<Add>) {
        self.count += more;
        reply.send(Ok(self.count));
    }
}

impl Handler<Hold> for Counter {
    fn handle(&mut self, _: Hold, reply: ReplyTo<Hold>) {
        self.held.push(reply);
    }
}

impl Handler<SpawnPanic> for Counter {
    fn handle(&mut self, _: SpawnPanic, reply: ReplyTo<SpawnPanic>) {
        self.tasks.spawn_reply(reply, async { panic!("the task went wrong") });
    }
}

impl Handler<Panic> for Counter {
    fn handle(&mut self, _: Panic, _: ReplyTo<Panic>) {
        panic!("asked to");
    }
}

impl Handler<Slice> for Counter {
    fn handle(&mut self, Slice(text): Slice, reply: ReplyTo<Slice>) {
        reply.send(Ok(u32::try_from(text[1..].len()).expect("short")));
    }
}

impl Handler<Refuse> for Counter {
    fn handle(&mut self, _: Refuse, reply: ReplyTo<Refuse>) {
        reply.send(Err(AskError::Busy("another actor")));
    }
}

struct TestTree {
    tree: SupervisorHandle,
    handle: Handle<Counter>,
    starts: Arc<AtomicU32>,
}

/// Starts a tree whose actor starts `starts_allowed` times and then refuses.
async fn tree(starts_allowed: u32) -> TestTree {
    let handle = Handle::new("counter", 2, Duration::from_secs(5));
    let starts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&starts);
    let child = ChildSpec::new(handle.clone(), move || {
        let start = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match start {
                start if start < starts_allowed => {
                    Ok(Counter { count: 0, held: Vec::new(), tasks: TaskSet::default() })
                }
                _ => Err("the store is out of reach".into()),
            }
        }
    });
    let backoff = Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(5) };
    let policy = RestartPolicy { max_restarts: 3, window: Duration::from_secs(60), backoff };
    let spec = SupervisorSpec { children: vec![child], policy, clock: Clock::system(), rng: Rng::seeded(1) };
    TestTree { tree: Supervisor::start(spec).await.expect("the tree starts"), handle, starts }
}

impl TestTree {
    async fn until_it_answers(&self) -> u32 {
        let waiting = async {
            loop {
                match self.handle.ask(Add(1)).await {
                    Ok(count) => return count,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("it is restarted")
    }

    fn row(&self) -> ChildStatus {
        self.tree.snapshot().remove(0)
    }

    fn metrics(&self) -> String {
        let (mut registry, mut text) = (Registry::default(), String::new());
        self.tree.metrics().register(&mut registry);
        encode(&mut text, &registry).expect("encodes");
        text
    }
}

#[tokio::test]
async fn a_panic_fails_its_caller_at_once_and_the_same_handle_answers_again() {
    let tree = tree(99).await;
    assert_eq!(tree.handle.ask(Add(5)).await, Ok(5));

    assert_eq!(tree.handle.ask(Panic()).await, Err(AskError::Unavailable("counter")));

    assert_eq!(tree.until_it_answers().await, 1, "a new actor, a new state");
    let row = tree.row();
    assert_eq!((row.state, row.restarts, row.last_cause.as_deref()), (ActorState::Running, 1, Some("asked to")));
}

#[tokio::test]
async fn the_cause_of_a_restart_quotes_no_user_data() {
    let tree = tree(99).await;
    let heard = tree.handle.ask(Slice("\u{2019}I feel low".to_owned())).await;
    assert_eq!(heard, Err(AskError::Unavailable("counter")));
    tree.until_it_answers().await;
    let cause = tree.row().last_cause.expect("it failed");
    assert!(cause.contains("panic") && !cause.contains("low"), "{cause}");
}

#[tokio::test]
async fn requests_in_the_mailbox_of_a_dead_actor_fail_at_once() {
    let tree = tree(99).await;
    let (held, killed) = tokio::join!(tree.handle.ask(Hold()), tree.handle.ask(Panic()));
    assert_eq!((held, killed), (Err(AskError::Unavailable("counter")), Err(AskError::Unavailable("counter"))));
    assert_eq!(tree.handle.queue_len(), 0, "their places are free");
}

#[tokio::test]
async fn a_full_mailbox_is_busy_at_once() {
    let tree = tree(99).await;
    let holding =
        [tree.handle.clone(), tree.handle.clone()].map(|handle| tokio::spawn(async move { handle.ask(Hold()).await }));
    while tree.handle.queue_len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tree.handle.ask(Add(1)).await, Err(AskError::Busy("counter")));
    assert_eq!(tree.handle.status().await.expect("a status needs no place").count, 0);
    assert_eq!((tree.row().queue_len, tree.row().capacity), (2, 2));
    holding.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_request_whose_caller_has_gone_is_not_handled() {
    let tree = tree(99).await;
    {
        let mut asking = std::pin::pin!(tree.handle.ask(Add(7)));
        let polled_once = std::future::poll_fn(|context| std::task::Poll::Ready(asking.as_mut().poll(context))).await;
        assert!(polled_once.is_pending(), "the request is on its way, and its caller leaves");
    }
    assert_eq!(tree.handle.ask(Add(1)).await, Ok(1));
}

#[tokio::test]
async fn a_task_that_panics_fails_its_own_request_only() {
    let tree = tree(99).await;
    assert_eq!(tree.handle.ask(SpawnPanic()).await, Err(AskError::Unavailable("counter")));
    assert_eq!(tree.handle.ask(Add(1)).await, Ok(1), "the actor lives on");
    assert_eq!(tree.starts.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn each_message_type_is_counted_by_its_outcome() {
    let tree = tree(99).await;
    let _outcome = tree.handle.ask(Add(1)).await;
    let _outcome = tree.handle.ask(Add(1)).await;
    let _outcome = tree.handle.ask(Refuse()).await;
    let _outcome = tree.handle.ask(SpawnPanic()).await;
    let metrics = tree.metrics();
    for (message, outcome, number) in [("Add", "Ok", 2), ("Refuse", "Refused", 1), ("SpawnPanic", "Panicked", 1)] {
        let line =
            format!("actor_messages_total{{actor=\"counter\",message=\"{message}\",outcome=\"{outcome}\"}} {number}\n");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    assert!(metrics.contains("actor_message_queue_seconds_count{actor=\"counter\",message=\"Add\"} 2\n"), "{metrics}");
    assert!(
        metrics.contains("actor_message_handling_seconds_count{actor=\"counter\",message=\"Refuse\"} 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_child_beyond_the_intensity_limit_escalates() {
    let mut tree = tree(99).await;
    for _ in 0..4 {
        tree.until_it_answers().await;
        let _outcome = tree.handle.ask(Panic()).await;
    }
    assert_eq!(tree.tree.escalated().await, "counter");
    let row = tree.row();
    assert_eq!((row.state, row.restarts), (ActorState::Escalated, 3));
}

#[tokio::test]
async fn a_child_that_cannot_restart_counts_as_failed() {
    let mut tree = tree(1).await;
    let _outcome = tree.handle.ask(Panic()).await;
    assert_eq!(tree.tree.escalated().await, "counter");
    assert_eq!(tree.starts.load(Ordering::SeqCst), 4, "one start and three restarts");
}

#[tokio::test]
async fn a_stop_drains_the_mailbox_first() {
    let tree = tree(99).await;
    let handle = tree.handle.clone();
    let adding = tokio::spawn(async move { handle.ask(Add(2)).await });
    while !adding.is_finished() && tree.handle.queue_len() == 0 {
        tokio::task::yield_now().await;
    }
    tree.tree.stop(Duration::from_secs(1)).await;
    assert_eq!(adding.await.expect("no panic"), Ok(2), "answered before the stop");
    assert_eq!(tree.handle.ask(Add(1)).await, Err(AskError::Unavailable("counter")));
    assert_eq!(tree.row().state, ActorState::Stopped);
}

#[tokio::test]
async fn a_message_that_a_factory_sends_to_its_own_actor_arrives() {
    let handle = Handle::new("counter", 2, Duration::from_secs(5));
    let own = handle.clone();
    let child = ChildSpec::ready(handle.clone(), move || {
        own.tell(Add(7));
        Counter { count: 0, held: Vec::new(), tasks: TaskSet::default() }
    });
    let policy = RestartPolicy::default();
    let spec = SupervisorSpec { children: vec![child], policy, clock: Clock::system(), rng: Rng::seeded(1) };
    let _tree = Supervisor::start(spec).await.expect("the tree starts");
    assert_eq!(handle.status().await.expect("it runs").count, 7);
}
