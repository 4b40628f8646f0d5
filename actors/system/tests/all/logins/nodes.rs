//! Two nodes on one PostgreSQL: what ends on one is over on the other.

use faceofmind_base::Clock;

use super::*;
use crate::support::TcpProxy;
use faceofmind_platform::nats::Nats;

struct Nodes {
    one: World,
    two: World,
}

impl Nodes {
    async fn open(one: Option<Nats>, two: Option<Nats>) -> Option<Self> {
        let db = faceofmind_testing::databases().await.into_iter().find(|db| matches!(db, Database::Postgres(_)))?;
        let folder = new_folder();
        let node = async |nats| {
            let transport = Transport::files(&folder);
            World::with(db.clone(), transport, nats, &Clock::system(), bounds()).await.reading(folder.clone())
        };
        Some(Self { one: node(one).await, two: node(two).await })
    }

    /// Somebody whom both nodes know without asking.
    async fn known_to_both(&self, who: &str) -> LoggedIn {
        let ada = self.one.logged_in(who).await;
        for node in [&self.one, &self.two] {
            until("it is believed without asking", async || node.is_good(&ada).await && believes(node, &ada)).await;
        }
        ada
    }
}

/// Whether the node would answer from memory.
fn believes(node: &World, ada: &LoggedIn) -> bool {
    let ledger = &node.house.logins.ledger;
    let bearer = ledger.tokens.read_access(&ada.access_token).expect("is ours");
    ledger.views.get(bearer.login).is_some()
}

/// How many changes the node knows of.
fn heard(node: &World) -> u64 {
    node.house.logins.ledger.views.epoch().changes
}

/// Whether it is over on the node because that was told of a change, and not because nothing is believed for long.
async fn is_over_once_told(node: &World, before: u64, ada: &LoggedIn) {
    until("it is told", async || heard(node) > before).await;
    assert!(!node.is_good(ada).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_on_one_node_is_told_to_the_other_and_over_there() {
    let account = faceofmind_testing::nats_account().await;
    let nats =
        [faceofmind_testing::connect_nats(account.url(&account.server)).await, account.connect(&account.server).await];
    let [one, two] = nats.map(Some);
    let Some(nodes) = Nodes::open(one, two).await else { return };
    for (who, how) in [("a@example.org", 0), ("b@example.org", 1), ("c@example.org", 2)] {
        let ada = nodes.known_to_both(who).await;
        let (logins, before) = (&nodes.one.house.logins, heard(&nodes.two));
        match how {
            0 => {
                let login = logins.identify(&ada.access_token).await.expect("is good").login;
                assert!(logins.end(ada.user.id, login).await.expect("ends"));
            }
            1 => logins.end_all(ada.user.id).await.expect("ends"),
            _ => nodes.one.suspend(ada.user.id).await,
        }
        assert!(!nodes.one.is_good(&ada).await, "at once on the same node");
        is_over_once_told(&nodes.two, before, &ada).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nats_every_request_asks() {
    let Some(nodes) = Nodes::open(None, None).await else { return };
    let ada = nodes.one.logged_in(ADA).await;
    assert!(nodes.one.is_good(&ada).await && nodes.two.is_good(&ada).await);
    assert!(!believes(&nodes.one, &ada) && !believes(&nodes.two, &ada));
    nodes.one.house.logins.end_all(ada.user.id).await.expect("ends");
    assert!(!nodes.two.is_good(&ada).await, "the very next request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_loses_the_link_asks_and_believes_again_when_it_is_back() {
    let account = faceofmind_testing::nats_account().await;
    let wire = TcpProxy::start(&account.server).await;
    let (one, two) = (
        faceofmind_testing::connect_nats(account.url(&account.server)).await,
        faceofmind_testing::connect_nats(account.url(&wire.address)).await,
    );
    let link = two.link().clone();
    let Some(nodes) = Nodes::open(Some(one), Some(two)).await else { return };
    let [ada, bob] = [nodes.known_to_both(ADA).await, nodes.known_to_both("bob@example.org").await];
    wire.cut();
    until("the break is seen", async || !link.is_up()).await;
    assert!(!believes(&nodes.two, &ada));
    nodes.one.house.logins.end_all(ada.user.id).await.expect("ends");
    assert!(!nodes.two.is_good(&ada).await && nodes.two.is_good(&bob).await);
    wire.restore();
    until("it believes again", async || nodes.two.is_good(&bob).await && believes(&nodes.two, &bob)).await;
    assert!(!nodes.two.is_good(&ada).await);
    let before = heard(&nodes.two);
    nodes.one.house.logins.end_all(bob.user.id).await.expect("ends");
    is_over_once_told(&nodes.two, before, &bob).await;
}

/// What a node changes while it cannot tell is put out elsewhere as soon as it can.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_could_not_tell_is_told_when_the_link_is_back() {
    let account = faceofmind_testing::nats_account().await;
    let wire = TcpProxy::start(&account.server).await;
    let (one, two) = (
        faceofmind_testing::connect_nats(account.url(&wire.address)).await,
        faceofmind_testing::connect_nats(account.url(&account.server)).await,
    );
    let link = one.link().clone();
    let Some(nodes) = Nodes::open(Some(one), Some(two)).await else { return };
    let ada = nodes.known_to_both(ADA).await;
    wire.cut();
    until("the break is seen", async || !link.is_up()).await;
    let before = heard(&nodes.two);
    nodes.one.house.logins.end_all(ada.user.id).await.expect("ends");
    assert_eq!(heard(&nodes.two), before, "it cannot know");
    wire.restore();
    is_over_once_told(&nodes.two, before, &ada).await;
}

/// And it may take long until the link is back.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_cannot_tell_is_believed_elsewhere_for_a_few_seconds_only() {
    let account = faceofmind_testing::nats_account().await;
    let wire = TcpProxy::start(&account.server).await;
    let (one, two) = (
        faceofmind_testing::connect_nats(account.url(&wire.address)).await,
        faceofmind_testing::connect_nats(account.url(&account.server)).await,
    );
    let link = one.link().clone();
    let Some(nodes) = Nodes::open(Some(one), Some(two)).await else { return };
    let ada = nodes.known_to_both(ADA).await;
    wire.cut();
    until("the break is seen", async || !link.is_up()).await;
    nodes.one.house.logins.end_all(ada.user.id).await.expect("ends");
    until("it is over", async || !nodes.two.is_good(&ada).await).await;
}

/// While nobody listens nothing is believed; and what others change meanwhile is not missed.
#[tokio::test(flavor = "multi_thread")]
async fn logins_that_die_on_one_node_miss_nothing() {
    let account = faceofmind_testing::nats_account().await;
    let nats =
        [faceofmind_testing::connect_nats(account.url(&account.server)).await, account.connect(&account.server).await];
    let [one, two] = nats.map(Some);
    let Some(nodes) = Nodes::open(one, two).await else { return };
    let ada = nodes.known_to_both(ADA).await;
    nodes.two.house.tree.child("logins").expect("is there").panic();
    until("nothing is believed", async || !believes(&nodes.two, &ada)).await;
    nodes.one.suspend(ada.user.id).await;
    until("it is at work again", async || {
        matches!(nodes.two.house.logins.identify(&ada.access_token).await, Err(BearerError::Bad))
    })
    .await;
    let bob = nodes.known_to_both("bob@example.org").await;
    nodes.one.house.tree.child("logins").expect("is there").panic();
    nodes.one.suspend(bob.user.id).await;
    until("it is over", async || !nodes.two.is_good(&bob).await).await;
}
