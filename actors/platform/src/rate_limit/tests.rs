//! Rate limits over every store.

use std::{sync::Arc, time::Duration};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::with_conn;
use faceofmind_runtime::{Handle, SupervisorHandle};
use tokio::net::TcpListener;

use super::{actor::Sweep, *};
use crate::{redis::RedisClient, testing};

const MINUTE: Duration = Duration::from_secs(60);
const THREE: Limit = Limit { name: "three", max: 3, window: MINUTE };
const FIVE: Limit = Limit { name: "five", max: 5, window: Duration::from_secs(300) };

struct Node {
    limiter: Handle<RateLimiter>,
    counters: Counters,
    clock: Clock,
    tree: SupervisorHandle,
}

impl Node {
    async fn new(counters: Counters, key: &[u8], clock: Clock) -> Self {
        let settings = Settings { probe_interval: Duration::from_millis(20), ..Settings::default() };
        let deps = Deps { counters: counters.clone(), key: key.to_vec(), clock: clock.clone(), rng: Rng::system() };
        let (limiter, child) = RateLimiter::new(settings, deps);
        let tree = testing::supervise(vec![child], &clock).await;
        Self { limiter, counters, clock, tree }
    }

    async fn of(counters: Counters) -> Self {
        Self::new(counters, &Rng::system().bytes::<32>(), Clock::system()).await
    }

    async fn acquire(&self, keys: &[RateLimitKey]) -> Result<Reservation, RateLimitError> {
        self.limiter.ask(Acquire(keys.to_vec())).await
    }

    async fn is_degraded(&self) -> bool {
        self.limiter.status().await.expect("the actor runs").degraded
    }

    async fn stop(self) {
        self.tree.stop(Duration::from_secs(5)).await;
    }
}

async fn everywhere() -> Vec<Counters> {
    let databases = testing::databases().await.into_iter().map(Counters::Sql);
    databases.chain([Counters::Redis(testing::redis())]).collect()
}

fn keys(limits: &[Limit], subject: &str) -> Vec<RateLimitKey> {
    limits.iter().map(|&limit| RateLimitKey { limit, subject: subject.to_owned() }).collect()
}

/// Returns how many of `calls` concurrent calls pass.
async fn passed(node: &Node, calls: usize, keys: Vec<RateLimitKey>) -> usize {
    let keys = Arc::new(keys);
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..calls {
        let (limiter, keys) = (node.limiter.clone(), Arc::clone(&keys));
        running.spawn(async move { limiter.ask(Acquire(keys.to_vec())).await.is_ok() });
    }
    running.join_all().await.into_iter().filter(|&passed| passed).count()
}

fn wait(refused: Result<Reservation, RateLimitError>) -> Duration {
    match refused {
        Err(RateLimitError::Exceeded { retry_after }) => retry_after,
        other => panic!("should have been refused: {other:?}"),
    }
}

#[tokio::test]
async fn the_fourth_of_three_waits_until_the_window_ends() {
    for counters in everywhere().await {
        let node = Node::of(counters).await;
        let ada = keys(&[THREE], "ada");
        for _ in 0..3 {
            let _counted = node.acquire(&ada).await.expect("within the limit");
        }
        let left = wait(node.acquire(&ada).await);
        assert!(left > MINUTE / 2 && left <= MINUTE, "{left:?}");
        let _counted = node.acquire(&keys(&[THREE], "grace")).await.expect("another subject");
        node.clock.advance(MINUTE);
        let _counted = node.acquire(&ada).await.expect("a new window");
        node.stop().await;
    }
}

#[tokio::test]
async fn no_more_than_the_limit_pass_concurrently() {
    for counters in everywhere().await {
        let node = Node::of(counters).await;
        assert_eq!(passed(&node, 50, keys(&[THREE], "ada")).await, 3);
        assert_eq!(passed(&node, 50, keys(&[FIVE], "ada")).await, 5);
        node.stop().await;
    }
}

#[tokio::test]
async fn two_nodes_share_one_limit() {
    for counters in everywhere().await {
        let key = Rng::system().bytes::<32>();
        let one = Node::new(counters.clone(), &key, Clock::system()).await;
        let other = Node::new(counters, &key, Clock::system()).await;
        let both = keys(&[FIVE, THREE], "ada");
        let back_to_front = keys(&[THREE, FIVE], "ada");
        let (here, there) = tokio::join!(passed(&one, 30, both), passed(&other, 30, back_to_front));
        assert!(here + there <= 3, "{here} + {there}");
        // Over Redis, where a refusal of one may cross the other's, fewer may pass; over SQL exactly those that fit.
        assert!(here + there == 3 || matches!(one.counters, Counters::Redis(_)), "{here} + {there}");
        one.stop().await;
        other.stop().await;
    }
}

#[tokio::test]
async fn when_one_of_two_limits_is_reached_the_other_counts_nothing() {
    for counters in everywhere().await {
        let node = Node::of(counters).await;
        let mut both = keys(&[FIVE], "ada");
        both.extend(keys(&[THREE], "her phone"));
        assert_eq!(passed(&node, 20, both).await, 3);
        assert_eq!(passed(&node, 20, keys(&[FIVE], "ada")).await, 2);
        let found_full = node.limiter.status().await.expect("the actor runs").found_full;
        assert_eq!(found_full.values().sum::<u64>(), 35, "{found_full:?}");
        // In Redis the other limit may be full too until what it counted is refunded.
        assert!(matches!(node.counters, Counters::Redis(_)) || found_full == [("five", 18), ("three", 17)].into());
        node.stop().await;
    }
}

#[tokio::test]
async fn the_longest_wait_is_returned() {
    for counters in everywhere().await {
        let node = Node::of(counters).await;
        let ada = [keys(&[THREE], "ada"), keys(&[FIVE], "ada")];
        passed(&node, 3, ada[0].clone()).await;
        passed(&node, 5, ada[1].clone()).await;
        let left = wait(node.acquire(&ada.concat()).await);
        assert!(left > MINUTE && left <= 5 * MINUTE, "{left:?}");
        node.stop().await;
    }
}

#[tokio::test]
async fn refunded_uses_can_be_acquired_again_and_never_more() {
    for counters in everywhere().await {
        let node = Node::of(counters).await;
        let ada = keys(&[THREE], "ada");
        for _ in 0..10 {
            let taken = node.acquire(&ada).await.expect("each is refunded");
            node.limiter.ask(Refund(taken)).await.expect("refunds");
        }
        assert_eq!(passed(&node, 10, ada).await, 3);
        node.stop().await;
    }
}

#[tokio::test]
async fn a_refund_after_the_end_of_the_window_does_nothing() {
    for counters in everywhere().await {
        let node = Node::of(counters).await;
        let ada = keys(&[THREE], "ada");
        let old = node.acquire(&ada).await.expect("the first");
        node.clock.advance(2 * MINUTE);
        assert_eq!(passed(&node, 3, ada.clone()).await, 3);
        node.limiter.ask(Refund(old)).await.expect("refunds");
        wait(node.acquire(&ada).await);
        node.stop().await;
    }
}

#[tokio::test]
async fn a_restarted_limiter_keeps_its_counts() {
    for counters in everywhere().await {
        let key = Rng::system().bytes::<32>();
        let first = Node::new(counters.clone(), &key, Clock::system()).await;
        assert_eq!(passed(&first, 2, keys(&[THREE], "ada")).await, 2);
        first.stop().await;
        let second = Node::new(counters, &key, Clock::system()).await;
        assert_eq!(passed(&second, 5, keys(&[THREE], "ada")).await, 1);
        second.stop().await;
    }
}

#[tokio::test]
async fn subjects_are_stored_hashed_and_expired_counters_are_deleted() {
    for counters in everywhere().await {
        let node = Node::of(counters).await;
        assert_eq!(passed(&node, 1, keys(&[THREE, FIVE], "ada@example.org 198.51.100.7")).await, 1);
        if let Counters::Sql(db) = &node.counters {
            let names = names(db).await;
            assert_eq!(names.len(), 2);
            assert!(names.iter().all(|name| name.len() == 43 && !name.contains('@')), "{names:?}");
            node.clock.advance(2 * MINUTE);
            node.limiter.tell(Sweep);
            testing::until("only the longer window is left", async || self::names(db).await.len() == 1).await;
        }
        node.stop().await;
    }
}

async fn names(db: &faceofmind_db::Database) -> Vec<String> {
    let mut reader = db.read_conn().await.expect("reads");
    let rows: Vec<(String,)> =
        with_conn!(reader.connection(), c => sqlx::query_as("SELECT name FROM counters").fetch_all(c).await)
            .expect("rows");
    rows.into_iter().map(|(name,)| name).collect()
}

#[tokio::test]
async fn an_unlimited_limit_is_not_counted() {
    for counters in everywhere().await {
        let node = Node::of(counters).await;
        let unlimited = Limit { max: Limit::UNLIMITED, ..THREE };
        assert_eq!(passed(&node, 20, keys(&[unlimited], "ada")).await, 20);
        assert_eq!(node.limiter.status().await.expect("the actor runs").round_trips, 0);
        assert_eq!(passed(&node, 20, keys(&[unlimited, THREE], "ada")).await, 3, "the other limit holds");
        node.stop().await;
    }
}

#[tokio::test]
async fn calls_that_arrive_together_share_round_trips() {
    for counters in everywhere().await {
        let node = Node::of(counters).await;
        assert_eq!(passed(&node, 200, keys(&[THREE], "ada")).await, 3);
        let trips = node.limiter.status().await.expect("the actor runs").round_trips;
        assert!(trips < 100, "{trips} round trips for 200 calls");
        node.stop().await;
    }
}

#[tokio::test]
async fn without_redis_a_node_counts_alone() {
    let unused = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its number");
    let redis = RedisClient::open(&format!("redis://{unused}")).expect("a URL");
    assert!(!redis.is_up().await);
    let node = Node::of(Counters::Redis(redis)).await;
    let ada = keys(&[THREE], "ada");
    assert_eq!(passed(&node, 20, ada.clone()).await, 3);
    assert!(node.is_degraded().await);
    let shown = node.tree.child("limiter").expect("it is in the tree").status().await.expect("the actor runs");
    assert_eq!(shown["degraded"], true);
    node.clock.advance(MINUTE);
    let taken = node.acquire(&ada).await.expect("a new window");
    node.limiter.ask(Refund(taken)).await.expect("refunds");
    assert_eq!(passed(&node, 20, ada).await, 3);
    node.stop().await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_noticed_within_a_second_or_so() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let redis = RedisClient::open(&format!("redis://{}", silent.local_addr().expect("its number"))).expect("a URL");
    let node = Node::of(Counters::Redis(redis)).await;
    let began = node.clock.now();
    let _counted = node.acquire(&keys(&[THREE], "ada")).await.expect("counted here");
    assert!(node.is_degraded().await);
    assert!(node.clock.now().since(began) < Duration::from_millis(2500));
    node.stop().await;
}

#[tokio::test]
async fn when_redis_returns_uses_are_counted_there_again() {
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its number");
    let redis = RedisClient::open(&format!("redis://{port}/0")).expect("a URL");
    let node = Node::of(Counters::Redis(redis.clone())).await;
    let ada = keys(&[THREE], "ada");
    assert_eq!(passed(&node, 5, ada.clone()).await, 3);
    assert!(node.is_degraded().await);
    let proxy = tokio::spawn(testing::forward_to_redis(port));
    testing::until("the limiter sees Redis", async || !node.is_degraded().await).await;
    assert!(redis.is_up().await);
    assert_eq!(passed(&node, 5, ada.clone()).await, 3, "what Redis knows, not what this node counted");
    proxy.abort();
    node.stop().await;
}
