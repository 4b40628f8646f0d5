//! What was read of log-ins and their users, kept to answer without I/O.
//!
//! A change puts out what it concerns before it is answered. A read that was under way meanwhile is not kept: it began in another epoch.
//! A log-in is believed only together with the revision of its user that it was read with: what ends a user's log-ins bumps that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use serde::{Deserialize, Serialize};

use super::login::{Login, LoginId};
use crate::user_registry::{User, UserId};

/// However good the news from other nodes are, nothing is believed longer.
const BELIEVED: Duration = Duration::from_secs(30);
const MOST: u64 = 100_000;

/// What has changed, and is therefore to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// One log-in: it has ended.
    Login(LoginId),
    /// A user, whose revision is another now; all log-ins read with the old one count no more.
    User(UserId),
}

/// The cache. Clones share it.
#[derive(Clone, Debug)]
pub struct Views(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    logins: Cache<LoginId, (Turn, i64, Arc<Login>)>,
    users: Cache<UserId, (Turn, Arc<User>)>,
    changes: AtomicU64,
    sources: Sources,
    announcements: tokio::sync::broadcast::Sender<Change>,
}

/// How this node hears of what others change.
#[derive(Clone, Debug)]
pub enum Sources {
    /// There are no others.
    Alone,
    /// Others may be, and do not tell: everything is read again each time.
    Untold,
    /// They tell over NATS, as long as the link is up.
    Told(crate::nats::Link),
}

/// Which connection to the others it is; what was kept under another may have changed unheard.
type Turn = u64;

impl Sources {
    fn turn(&self) -> Option<Turn> {
        match self {
            Self::Alone => Some(0),
            Self::Untold => None,
            Self::Told(link) => Some(link.turn()).filter(|_| link.is_up()),
        }
    }
}

/// The time before a read began.
#[derive(Clone, Copy, Debug)]
pub struct Epoch {
    turn: Option<Turn>,
    changes: u64,
}

impl Views {
    /// An empty cache.
    pub fn new(sources: Sources) -> Self {
        let (announcements, _) = tokio::sync::broadcast::channel(1024);
        let logins = Cache::builder().max_capacity(MOST).time_to_live(BELIEVED).build();
        let users = Cache::builder().max_capacity(MOST).time_to_live(BELIEVED).build();
        Self(Arc::new(Inner { logins, users, changes: AtomicU64::new(0), sources, announcements }))
    }

    /// The log-in and its user, if both are known and may be believed.
    pub fn get(&self, login: LoginId) -> Option<(Arc<Login>, Arc<User>)> {
        let turn = self.0.sources.turn()?;
        let (login_turn, revision, login) = self.0.logins.get(&login)?;
        let (user_turn, user) = self.0.users.get(&login.user_id)?;
        let believed = turn == login_turn && turn == user_turn && revision == user.revision;
        believed.then_some((login, user))
    }

    /// To be taken before reading what shall be [kept](Views::keep).
    pub fn epoch(&self) -> Epoch {
        Epoch { turn: self.0.sources.turn(), changes: self.0.changes.load(Ordering::SeqCst) }
    }

    /// Keeps what was read since `epoch`, unless anything has changed since.
    pub fn keep(&self, epoch: Epoch, login: &Arc<Login>, user: &Arc<User>) {
        let Some(turn) = epoch.turn else { return };
        self.0.logins.insert(login.id, (turn, user.revision, Arc::clone(login)));
        self.0.users.insert(user.id, (turn, Arc::clone(user)));
        if self.0.changes.load(Ordering::SeqCst) != epoch.changes {
            self.0.logins.invalidate(&login.id);
            self.0.users.invalidate(&user.id);
        }
    }

    /// Puts out what has changed, here and on the other nodes. To be called after the commit and before the answer.
    pub fn announce(&self, change: Change) {
        self.put_out(change);
        let _nobody_listens_on_a_single_node = self.0.announcements.send(change);
    }

    /// Puts out what has changed, here only: another node has told.
    pub fn put_out(&self, change: Change) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        match change {
            Change::Login(login) => self.0.logins.invalidate(&login),
            Change::User(user) => self.0.users.invalidate(&user),
        }
    }

    /// Forgets everything: what other nodes told may have been missed.
    pub fn clear(&self) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        self.0.logins.invalidate_all();
        self.0.users.invalidate_all();
    }

    /// What this node announces, to be told to the others.
    pub fn announcements(&self) -> tokio::sync::broadcast::Receiver<Change> {
        self.0.announcements.subscribe()
    }

    /// How many log-ins are known.
    pub fn len(&self) -> u64 {
        self.0.logins.entry_count()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{logins::login::tests::login, user_registry::user::tests::ada};

    fn known() -> (Arc<Login>, Arc<User>) {
        (Arc::new(login(faceofmind_kit::Timestamp::from_micros(0))), Arc::new(ada()))
    }

    #[test]
    fn what_was_kept_is_found_until_it_changes() {
        let (views, (login, user)) = (Views::new(Sources::Alone), known());
        for change in [Change::Login(login.id), Change::User(user.id)] {
            views.keep(views.epoch(), &login, &user);
            assert!(views.get(login.id).is_some());
            views.announce(change);
            assert!(views.get(login.id).is_none(), "{change:?}");
        }
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let (views, (login, user)) = (Views::new(Sources::Alone), known());
        let before = views.epoch();
        views.announce(Change::Login(login.id));
        views.keep(before, &login, &user);
        assert!(views.get(login.id).is_none());
    }

    #[test]
    fn a_log_in_read_with_an_older_revision_of_its_user_counts_no_more() {
        let (views, (login, user)) = (Views::new(Sources::Alone), known());
        views.keep(views.epoch(), &login, &user);
        let other = Arc::new(Login { id: LoginId(8), ..(*login).clone() });
        let newer = Arc::new(User { revision: 2, ..(*user).clone() });
        views.keep(views.epoch(), &other, &newer);
        assert!(views.get(other.id).is_some());
        assert!(views.get(login.id).is_none());
    }

    #[test]
    fn a_node_that_is_not_told_keeps_nothing() {
        let (views, (login, user)) = (Views::new(Sources::Untold), known());
        views.keep(views.epoch(), &login, &user);
        assert!(views.get(login.id).is_none());
    }
}
