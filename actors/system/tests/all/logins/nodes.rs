//! Two nodes on one PostgreSQL server: a login that ends on one is invalid on the other.

use faceofmind_base::Clock;
use faceofmind_db::Database;
use faceofmind_platform::{
    mail::Transport,
    nats::{ConnectionState, NatsConnection},
    testing::connect_nats,
};
use faceofmind_testing::{TcpProxy, nats_account};

use super::*;
use crate::support::{databases, new_folder, settings};

struct Nodes {
    one: TestContext,
    two: TestContext,
}

impl Nodes {
    async fn open(one: Option<NatsConnection>, two: Option<NatsConnection>) -> Self {
        let dbs = databases().await;
        let db = dbs.into_iter().find(|db| matches!(db, Database::Postgres(_))).expect("a PostgreSQL server");
        let folder = new_folder();
        let node = async |nats| {
            let transport = Transport::files(&folder);
            TestContext::with(db.clone(), transport, nats, &Clock::system(), settings()).await.reading(folder.clone())
        };
        Self { one: node(one).await, two: node(two).await }
    }

    async fn with_nats() -> Self {
        let account = nats_account().await;
        let url = account.url(&account.server);
        Self::open(Some(connect_nats(url.clone()).await), Some(connect_nats(url).await)).await
    }

    /// Also returns the proxy and the first node's connection through it.
    async fn with_the_first_behind_a_proxy() -> (Self, TcpProxy, ConnectionState) {
        let account = nats_account().await;
        let proxy = TcpProxy::start(&account.server).await;
        let one = connect_nats(account.url(&proxy.address)).await;
        let connection = one.state().clone();
        let two = connect_nats(account.url(&account.server)).await;
        (Self::open(Some(one), Some(two)).await, proxy, connection)
    }

    /// Logs a user in whose login both nodes have cached.
    async fn cached_on_both(&self, who: &str) -> TokenPair {
        let ada = self.one.logged_in(who).await;
        for node in [&self.one, &self.two] {
            until("it is cached", async || node.is_good(&ada).await && is_cached(node, &ada)).await;
        }
        ada
    }
}

fn is_cached(node: &TestContext, ada: &TokenPair) -> bool {
    node.system.modules.authenticator.is_cached(&ada.access_token)
}

/// The number of invalidations that the node has received or made.
async fn invalidations(node: &TestContext) -> u64 {
    node.system.modules.logins.status().await.expect("runs").service.invalidations
}

/// Asserts that the login is invalid on the node because of an invalidation, and not because its entry has expired.
async fn is_invalidated(node: &TestContext, before: u64, ada: &TokenPair) {
    until("it is invalidated", async || invalidations(node).await > before).await;
    assert!(!node.is_good(ada).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_ends_on_one_node_is_invalidated_on_the_other() {
    let nodes = Nodes::with_nats().await;
    for (who, how) in [("a@example.org", 0), ("b@example.org", 1), ("c@example.org", 2)] {
        let ada = nodes.cached_on_both(who).await;
        let before = invalidations(&nodes.two).await;
        match how {
            0 => {
                let login = nodes.one.login_of(&ada).await;
                assert!(nodes.one.end(ada.user.id, login).await.expect("ends"));
            }
            1 => nodes.one.end_all(ada.user.id).await,
            _ => nodes.one.suspend(ada.user.id).await,
        }
        assert!(!nodes.one.is_good(&ada).await, "at once on the same node");
        is_invalidated(&nodes.two, before, &ada).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nats_every_request_reads_the_database() {
    let nodes = Nodes::open(None, None).await;
    let ada = nodes.one.logged_in(ADA).await;
    assert!(nodes.one.is_good(&ada).await && nodes.two.is_good(&ada).await);
    assert!(!is_cached(&nodes.one, &ada) && !is_cached(&nodes.two, &ada));
    nodes.one.end_all(ada.user.id).await;
    assert!(!nodes.two.is_good(&ada).await, "the very next request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_its_connection_reads_the_database_and_caches_again_when_it_is_back() {
    let account = nats_account().await;
    let proxy = TcpProxy::start(&account.server).await;
    let (one, two) =
        (connect_nats(account.url(&account.server)).await, connect_nats(account.url(&proxy.address)).await);
    let connection = two.state().clone();
    let nodes = Nodes::open(Some(one), Some(two)).await;
    let [ada, bob] = [nodes.cached_on_both(ADA).await, nodes.cached_on_both("bob@example.org").await];
    proxy.cut();
    until("the broken connection is noticed", async || !connection.is_connected()).await;
    assert!(!is_cached(&nodes.two, &ada));
    nodes.one.end_all(ada.user.id).await;
    assert!(!nodes.two.is_good(&ada).await && nodes.two.is_good(&bob).await);
    proxy.restore();
    until("it is cached again", async || nodes.two.is_good(&bob).await && is_cached(&nodes.two, &bob)).await;
    assert!(!nodes.two.is_good(&ada).await);
    let before = invalidations(&nodes.two).await;
    nodes.one.end_all(bob.user.id).await;
    is_invalidated(&nodes.two, before, &bob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalidations_that_a_node_could_not_send_are_made_up_for_when_its_connection_is_back() {
    let (nodes, proxy, connection) = Nodes::with_the_first_behind_a_proxy().await;
    let ada = nodes.cached_on_both(ADA).await;
    proxy.cut();
    until("the broken connection is noticed", async || !connection.is_connected()).await;
    let before = invalidations(&nodes.two).await;
    nodes.one.end_all(ada.user.id).await;
    assert_eq!(invalidations(&nodes.two).await, before, "it cannot know");
    proxy.restore();
    is_invalidated(&nodes.two, before, &ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_other_nodes_expire_within_seconds_when_a_node_cannot_send_invalidations() {
    let (nodes, proxy, connection) = Nodes::with_the_first_behind_a_proxy().await;
    let ada = nodes.cached_on_both(ADA).await;
    proxy.cut();
    until("the broken connection is noticed", async || !connection.is_connected()).await;
    nodes.one.end_all(ada.user.id).await;
    until("it is invalid", async || !nodes.two.is_good(&ada).await).await;
}

/// Without a subscription nothing is cached, so an invalidation that is missed meanwhile does no harm.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_dies_on_one_node_misses_no_invalidation() {
    let nodes = Nodes::with_nats().await;
    let ada = nodes.cached_on_both(ADA).await;
    nodes.two.system.tree.child("logins").expect("is there").panic();
    until("nothing is cached", async || !is_cached(&nodes.two, &ada)).await;
    nodes.one.suspend(ada.user.id).await;
    until("it runs again", async || {
        matches!(nodes.two.system.modules.authenticator.authenticate(&ada.access_token).await, Err(TokenError::Invalid))
    })
    .await;
    let bob = nodes.cached_on_both("bob@example.org").await;
    nodes.one.system.tree.child("logins").expect("is there").panic();
    nodes.one.suspend(bob.user.id).await;
    until("it is invalid", async || !nodes.two.is_good(&bob).await).await;
}
