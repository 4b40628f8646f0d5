//! The rows that a batch needs, locked without waiting: a command whose row another transaction holds is left out, so that it delays no other.

use std::collections::HashSet;

use faceofmind_db::Tx;
use faceofmind_model::UserId;

use super::{
    commands::PendingCommand,
    messages::SessionError,
    session::{Session, SessionId},
    store::{self, OwnedSession},
};
use crate::accounts;

/// What a batch could lock.
pub(super) struct RowLocks {
    /// The sessions that its commands change, locked until the transaction ends.
    pub(super) sessions: Vec<Session>,
    held_sessions: HashSet<SessionId>,
    held_users: HashSet<UserId>,
}

impl RowLocks {
    /// Locks the users to whom rows are added, then the sessions that are changed. SQLite has one writer, which is this transaction, so there
    /// every row is free.
    pub(super) async fn take(tx: &mut Tx, batch: &[PendingCommand]) -> Result<Self, SessionError> {
        let mut requested: Vec<OwnedSession> = batch.iter().filter_map(PendingCommand::owned_session).collect();
        requested.sort_unstable();
        requested.dedup();
        if matches!(tx, Tx::Sqlite(..)) {
            let sessions = store::find(tx.connection(), &requested).await?;
            return Ok(Self { sessions, held_sessions: HashSet::new(), held_users: HashSet::new() });
        }
        let users = batch.iter().filter(|pending| pending.adds_rows_of_user()).map(|pending| pending.context.user);
        let held_users = accounts::lock_free_users(tx, users).await?;
        let sessions = store::lock_free(tx, &requested).await?;
        let locked: HashSet<SessionId> = sessions.iter().map(|session| session.id).collect();
        requested.retain(|(id, _)| !locked.contains(id));
        // Those that were not locked do not exist, or another transaction holds them.
        let held_sessions =
            store::find(tx.connection(), &requested).await?.into_iter().map(|session| session.id).collect();
        Ok(Self { sessions, held_sessions, held_users })
    }

    /// Whether another transaction holds a row that the command needs.
    pub(super) fn are_missing_for(&self, pending: &PendingCommand) -> bool {
        pending.command.session().is_some_and(|session| self.held_sessions.contains(&session))
            || (pending.adds_rows_of_user() && self.held_users.contains(&pending.context.user))
    }
}
