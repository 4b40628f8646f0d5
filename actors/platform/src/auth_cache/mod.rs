//! What was read of log-ins and their users, kept to answer without I/O.
//!
//! A change puts out what it concerns before it is answered. A read that was under way meanwhile is not kept: it began in another epoch.
//! A log-in is believed only together with the revision of its user, which was read before it: what ends a user's log-ins bumps that.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use faceofmind_db::Tx;
use faceofmind_runtime::legacy::Failure;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::{login_store::Login, nats::Nats};
use faceofmind_model::LoginId;
use faceofmind_model::user::{User, UserId};

mod invalidation;
pub use invalidation::subscribe_remote;

/// However good the news from other nodes are, nothing is believed longer: a node that ends a log-in while it has lost its own link tells
/// nobody, and the others do not know that they were not told. It costs each node a read per log-in in use and so many seconds.
const BELIEVED: Duration = Duration::from_secs(5);
const MOST: u64 = 100_000;
/// Changes that who waits for them may not have heard yet; with more they have to think of any.
const UNHEARD: usize = 256;

/// What has changed, and is therefore to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// One log-in: it has ended.
    Login(LoginId),
    /// A user, whose revision is another now; all log-ins read with the old one count no more.
    User(UserId),
    /// Nobody knows what.
    Anything,
}

/// The cache. Clones share it.
#[derive(Clone, Debug)]
pub struct Views(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    logins: Cache<LoginId, (Turn, i64, Arc<Login>)>,
    users: Cache<UserId, (Turn, Arc<User>)>,
    /// How many changes there were. Who keeps something holds it, so that no change comes between looking at it and keeping.
    changes: RwLock<u64>,
    /// Who waits for changes hears of each once it is put out.
    told: broadcast::Sender<Change>,
    sources: Sources,
    listening: AtomicBool,
}

/// How this node hears of what others change.
#[derive(Clone, Debug)]
pub enum Sources {
    /// There are no others.
    Alone,
    /// Others may be, and do not tell: everything is read again each time.
    Untold,
    /// They tell over NATS, as long as the link is up and somebody listens.
    Told(Nats),
}

/// Which connection to the others it is; what was kept under another may have changed unheard.
type Turn = u64;

/// The time before a read began.
#[derive(Clone, Copy, Debug)]
pub struct Epoch {
    turn: Option<Turn>,
    pub changes: u64,
}

impl Views {
    /// An empty cache.
    pub fn new(sources: Sources) -> Self {
        let logins = Cache::builder().max_capacity(MOST).time_to_live(BELIEVED).build();
        let users = Cache::builder().max_capacity(MOST).time_to_live(BELIEVED).build();
        let (told, listening) = (broadcast::Sender::new(UNHEARD), AtomicBool::new(false));
        Self(Arc::new(Inner { logins, users, changes: RwLock::default(), told, sources, listening }))
    }

    /// The log-in and its user, if both are known and may be believed.
    pub fn get(&self, login: LoginId) -> Option<(Arc<Login>, Arc<User>)> {
        let turn = self.turn()?;
        let (login_turn, revision, login) = self.0.logins.get(&login)?;
        let (user_turn, user) = self.0.users.get(&login.user_id)?;
        let believed = turn == login_turn && turn == user_turn && revision == user.revision;
        believed.then_some((login, user))
    }

    /// To be taken before reading what shall be [kept](Views::keep).
    pub fn epoch(&self) -> Epoch {
        Epoch { turn: self.turn(), changes: *self.0.changes.read().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Keeps what was read since `epoch`, the user before the log-in, unless anything has changed since.
    pub fn keep(&self, epoch: Epoch, login: &Arc<Login>, user: &Arc<User>) {
        let Some(turn) = epoch.turn else { return };
        let changes = self.0.changes.read().unwrap_or_else(PoisonError::into_inner);
        if *changes == epoch.changes {
            self.0.logins.insert(login.id, (turn, user.revision, Arc::clone(login)));
            self.0.users.insert(user.id, (turn, Arc::clone(user)));
        }
    }

    /// Commits, and then puts out what has changed, here and on the other nodes. When nobody learns whether it was committed, because the
    /// connection breaks or the actor dies meanwhile, everything is put out.
    ///
    /// # Errors
    /// [`Failure::Store`].
    pub async fn commit(&self, tx: Tx, changes: impl IntoIterator<Item = Change>) -> Result<(), Failure> {
        let mut doubt = Doubt(Some(self));
        tx.commit().await?;
        doubt.0 = None;
        changes.into_iter().for_each(|change| self.announce(change));
        Ok(())
    }

    /// Puts out what has changed, here and on the other nodes. To be called after the commit and before the answer.
    fn announce(&self, change: Change) {
        self.put_out(change);
        if let Sources::Told(nats) = &self.0.sources {
            invalidation::publish(nats, change);
        }
    }

    /// Puts out what has changed, here only: another node has told.
    pub fn put_out(&self, change: Change) {
        let mut changes = self.0.changes.write().unwrap_or_else(PoisonError::into_inner);
        *changes += 1;
        match change {
            Change::Login(login) => self.0.logins.invalidate(&login),
            Change::User(user) => self.0.users.invalidate(&user),
            Change::Anything => {
                self.0.logins.invalidate_all();
                self.0.users.invalidate_all();
            }
        }
        let _nobody_waits = self.0.told.send(change);
    }

    /// Every change that is put out from now on, on whichever node, as far as this one hears of it.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.0.told.subscribe()
    }

    /// Says that what other nodes tell is heard from now on, until the guard is dropped. What was told before may have been missed.
    pub(crate) fn listen(&self) -> Listening {
        self.put_out(Change::Anything);
        self.0.listening.store(true, Ordering::SeqCst);
        Listening(self.clone())
    }

    /// The connection to the other nodes, where there are any.
    pub fn nats(&self) -> Option<&Nats> {
        match &self.0.sources {
            Sources::Told(nats) => Some(nats),
            Sources::Alone | Sources::Untold => None,
        }
    }

    fn turn(&self) -> Option<Turn> {
        match &self.0.sources {
            Sources::Alone => Some(0),
            Sources::Untold => None,
            Sources::Told(nats) => {
                let turn = nats.link().turn();
                let hears = nats.link().is_up() && self.0.listening.load(Ordering::SeqCst);
                hears.then_some(turn)
            }
        }
    }

    /// How many log-ins are known.
    pub fn known(&self) -> u64 {
        self.0.logins.entry_count()
    }
}

/// Dropped while it doubts, it puts everything out.
struct Doubt<'a>(Option<&'a Views>);

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(views) = self.0 {
            views.announce(Change::Anything);
        }
    }
}

/// Somebody hears what other nodes tell.
pub(crate) struct Listening(Views);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.0.listening.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faceofmind_base::Timestamp;

    fn known() -> (Arc<Login>, Arc<User>) {
        (Arc::new(Login::sample(Timestamp::from_micros(0))), Arc::new(User::sample()))
    }

    #[test]
    fn what_was_kept_is_found_until_it_changes() {
        let (views, (login, user)) = (Views::new(Sources::Alone), known());
        for change in [Change::Login(login.id), Change::User(user.id)] {
            views.keep(views.epoch(), &login, &user);
            assert!(views.get(login.id).is_some());
            views.put_out(change);
            assert!(views.get(login.id).is_none(), "{change:?}");
        }
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let (views, (login, user)) = (Views::new(Sources::Alone), known());
        let before = views.epoch();
        views.put_out(Change::Login(login.id));
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
