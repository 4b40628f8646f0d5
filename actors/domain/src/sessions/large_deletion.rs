//! A large session is deleted over several batches, a portion of its detections with each, so that no batch takes long. A deletion that
//! breaks off leaves a smaller session, which its user can delete again.

use std::collections::HashSet;

use faceofmind_db::{StoreError, Tx};

use super::{
    commands::{Command, PendingCommand},
    row_locks::RowLocks,
    session::SessionId,
    store::{self, OwnedSession},
};

/// Detections in a portion. Some 50 ms of the database.
const PORTION: usize = 1000;

/// Moves deletions of sessions that hold more than a portion to `held`, with the later commands on these sessions. Deletes a portion of the
/// first one.
pub(super) async fn defer(
    tx: &mut Tx,
    locks: &RowLocks,
    batch: &mut Vec<PendingCommand>,
    held: &mut Vec<PendingCommand>,
) -> Result<(), StoreError> {
    let mut deletions: Vec<OwnedSession> = batch.iter().filter_map(|pending| deletion(pending, locks)).collect();
    deletions.sort_unstable();
    deletions.dedup();
    let large = store::larger_than(tx, &deletions, PORTION).await?;
    let Some(first) = deletions.iter().find(|(session, _)| large.contains(session)) else { return Ok(()) };
    let portion = store::detections_of(tx, &[*first], PORTION).await?;
    store::delete_detections(tx, &portion).await?;
    let mut deferred: HashSet<SessionId> = HashSet::new();
    held.extend(batch.extract_if(.., |pending| {
        deferred.extend(deletion(pending, locks).map(|(session, _)| session).filter(|session| large.contains(session)));
        pending.command.session().is_some_and(|session| deferred.contains(&session))
    }));
    Ok(())
}

/// The locked session that the command deletes.
fn deletion(pending: &PendingCommand, locks: &RowLocks) -> Option<OwnedSession> {
    let Command::Delete(session, _) = pending.command else { return None };
    let user = pending.context.user;
    locks.sessions.iter().any(|locked| (locked.id, locked.user_id) == (session, user)).then_some((session, user))
}
