//! A cache of logins and their users, which answers without I/O.
//!
//! Writers invalidate affected entries before they reply. A read that started before an invalidation is not cached, because its epoch is
//! stale. A login is valid only together with the revision of its user that was read before it: a change that ends a user's logins bumps
//! that revision.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use faceofmind_db::{StoreError, Tx};
use faceofmind_model::{LoginId, User, UserId};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::{login_store::Login, nats::NatsConnection};

mod invalidation;

pub use invalidation::subscribe;

/// The longest that an entry is valid. A node that ends a login while its own link is down cannot reach the others, and they cannot know
/// that. The bound costs each node one read per login in use and period.
const TTL: Duration = Duration::from_secs(5);
/// The most logins, and the most users.
const CAPACITY: u64 = 100_000;
/// The most invalidations that a subscriber can lag behind. A subscriber that lags further must assume that everything has changed.
const INVALIDATION_BUFFER: usize = 256;

/// What has changed and must be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invalidation {
    /// A login has ended.
    Login(LoginId),
    /// The revision of a user has changed: every login that was read with the old one is invalid.
    User(UserId),
    /// Anything may have changed.
    #[serde(rename = "anything")]
    All,
}

/// The cache. Clones share it.
#[derive(Clone, Debug)]
pub struct AuthCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    logins: Cache<LoginId, (ConnectionEpoch, i64, Arc<Login>)>,
    users: Cache<UserId, (ConnectionEpoch, Arc<User>)>,
    /// The number of invalidations. An insertion holds the lock, so that no invalidation comes between the check of the epoch and the
    /// insertion.
    invalidations: RwLock<u64>,
    subscribers: broadcast::Sender<Invalidation>,
    source: InvalidationSource,
    subscribed: AtomicBool,
}

/// How this node learns of changes on other nodes.
#[derive(Clone, Debug)]
pub enum InvalidationSource {
    /// There are no other nodes.
    SingleNode,
    /// Other nodes cannot send invalidations, so nothing is cached.
    None,
    /// Other nodes send invalidations over NATS. Entries are valid while the link is up and the subscription stands.
    Nats(NatsConnection),
}

/// Identifies a connection to the other nodes. An entry of an earlier connection may have missed an invalidation.
type ConnectionEpoch = u64;

/// The moment before a read began.
#[derive(Clone, Copy, Debug)]
pub struct ReadEpoch {
    connection: Option<ConnectionEpoch>,
    invalidations: u64,
}

impl AuthCache {
    pub fn new(source: InvalidationSource) -> Self {
        let logins = Cache::builder().max_capacity(CAPACITY).time_to_live(TTL).build();
        let users = Cache::builder().max_capacity(CAPACITY).time_to_live(TTL).build();
        let (subscribers, subscribed) = (broadcast::Sender::new(INVALIDATION_BUFFER), AtomicBool::new(false));
        Self(Arc::new(Inner { logins, users, invalidations: RwLock::default(), subscribers, source, subscribed }))
    }

    /// Returns the login and its user if both are cached and valid.
    pub fn get(&self, login: LoginId) -> Option<(Arc<Login>, Arc<User>)> {
        let epoch = self.connection_epoch()?;
        let (login_epoch, revision, login) = self.0.logins.get(&login)?;
        let (user_epoch, user) = self.0.users.get(&login.user_id)?;
        let is_valid = epoch == login_epoch && epoch == user_epoch && revision == user.revision;
        is_valid.then_some((login, user))
    }

    /// Returns the current epoch. Take it before you read what you [insert](Self::insert_if_current).
    pub fn epoch(&self) -> ReadEpoch {
        ReadEpoch { connection: self.connection_epoch(), invalidations: self.invalidations() }
    }

    /// Caches what was read since `epoch`, the user before the login, unless there was an invalidation since then.
    pub fn insert_if_current(&self, epoch: ReadEpoch, login: &Arc<Login>, user: &Arc<User>) {
        let Some(connection) = epoch.connection else { return };
        let invalidations = self.0.invalidations.read().unwrap_or_else(PoisonError::into_inner);
        if *invalidations == epoch.invalidations {
            self.0.logins.insert(login.id, (connection, user.revision, Arc::clone(login)));
            self.0.users.insert(user.id, (connection, Arc::clone(user)));
        }
    }

    /// Commits, then invalidates the changes on every node. When the outcome of the commit is unknown, because the connection broke or the
    /// task was dropped, it invalidates everything.
    pub async fn commit(&self, tx: Tx, changes: impl IntoIterator<Item = Invalidation>) -> Result<(), StoreError> {
        let mut unknown_outcome = InvalidateOnDrop(Some(self));
        tx.commit().await?;
        unknown_outcome.0 = None;
        changes.into_iter().for_each(|change| self.invalidate_everywhere(change));
        Ok(())
    }

    fn invalidate_everywhere(&self, change: Invalidation) {
        self.invalidate(change);
        if let InvalidationSource::Nats(nats) = &self.0.source {
            invalidation::publish(nats, change);
        }
    }

    /// Invalidates entries on this node.
    fn invalidate(&self, change: Invalidation) {
        let mut invalidations = self.0.invalidations.write().unwrap_or_else(PoisonError::into_inner);
        *invalidations += 1;
        match change {
            Invalidation::Login(login) => self.0.logins.invalidate(&login),
            Invalidation::User(user) => self.0.users.invalidate(&user),
            Invalidation::All => {
                self.0.logins.invalidate_all();
                self.0.users.invalidate_all();
            }
        }
        let _no_subscriber = self.0.subscribers.send(change);
    }

    /// Returns every invalidation from now on: of this node, and of the others while the subscription stands.
    pub fn watch(&self) -> broadcast::Receiver<Invalidation> {
        self.0.subscribers.subscribe()
    }

    /// Marks the subscription to other nodes as standing until the guard is dropped. Earlier invalidations may have been missed.
    fn mark_subscribed(&self) -> SubscriptionGuard {
        self.invalidate(Invalidation::All);
        self.0.subscribed.store(true, Ordering::SeqCst);
        SubscriptionGuard(self.clone())
    }

    /// Returns the connection to the other nodes.
    pub fn nats(&self) -> Option<&NatsConnection> {
        match &self.0.source {
            InvalidationSource::Nats(nats) => Some(nats),
            InvalidationSource::SingleNode | InvalidationSource::None => None,
        }
    }

    fn connection_epoch(&self) -> Option<ConnectionEpoch> {
        match &self.0.source {
            InvalidationSource::SingleNode => Some(0),
            InvalidationSource::None => None,
            InvalidationSource::Nats(nats) => {
                let epoch = nats.state().epoch();
                let is_current = nats.state().is_connected() && self.0.subscribed.load(Ordering::SeqCst);
                is_current.then_some(epoch)
            }
        }
    }

    /// The number of cached logins.
    pub fn cached_logins(&self) -> u64 {
        self.0.logins.entry_count()
    }

    /// The number of invalidations since the start.
    pub fn invalidations(&self) -> u64 {
        *self.0.invalidations.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Invalidates everything on drop, unless it is disarmed.
struct InvalidateOnDrop<'a>(Option<&'a AuthCache>);

impl Drop for InvalidateOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(cache) = self.0 {
            cache.invalidate_everywhere(Invalidation::All);
        }
    }
}

/// The subscription to other nodes stands.
struct SubscriptionGuard(AuthCache);

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        self.0.0.subscribed.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use faceofmind_base::Timestamp;
    use serde_json::json;

    use super::*;

    fn read() -> (Arc<Login>, Arc<User>) {
        (Arc::new(Login::sample(Timestamp::from_micros(0))), Arc::new(User::sample()))
    }

    #[test]
    fn an_entry_is_found_until_it_is_invalidated() {
        let (cache, (login, user)) = (AuthCache::new(InvalidationSource::SingleNode), read());
        for change in [Invalidation::Login(login.id), Invalidation::User(user.id)] {
            cache.insert_if_current(cache.epoch(), &login, &user);
            assert!(cache.get(login.id).is_some());
            cache.invalidate(change);
            assert!(cache.get(login.id).is_none(), "{change:?}");
        }
    }

    #[test]
    fn what_was_read_before_an_invalidation_is_not_cached_after_it() {
        let (cache, (login, user)) = (AuthCache::new(InvalidationSource::SingleNode), read());
        let before = cache.epoch();
        cache.invalidate(Invalidation::Login(login.id));
        cache.insert_if_current(before, &login, &user);
        assert!(cache.get(login.id).is_none());
    }

    #[test]
    fn a_login_that_was_read_with_an_older_revision_of_its_user_is_invalid() {
        let (cache, (login, user)) = (AuthCache::new(InvalidationSource::SingleNode), read());
        cache.insert_if_current(cache.epoch(), &login, &user);
        let other = Arc::new(Login { id: LoginId(8), ..(*login).clone() });
        let newer = Arc::new(User { revision: 2, ..(*user).clone() });
        cache.insert_if_current(cache.epoch(), &other, &newer);
        assert!(cache.get(other.id).is_some());
        assert!(cache.get(login.id).is_none());
    }

    #[test]
    fn a_node_that_gets_no_invalidations_caches_nothing() {
        let (cache, (login, user)) = (AuthCache::new(InvalidationSource::None), read());
        cache.insert_if_current(cache.epoch(), &login, &user);
        assert!(cache.get(login.id).is_none());
    }

    /// Nodes of different versions run beside each other during an upgrade.
    #[test]
    fn nodes_of_earlier_versions_understand_an_invalidation() {
        let sent = [Invalidation::Login(LoginId(7)), Invalidation::User(UserId(1)), Invalidation::All];
        assert_eq!(json!(sent), json!([{ "login": 7 }, { "user": 1 }, "anything"]));
    }
}
