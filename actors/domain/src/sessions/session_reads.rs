//! Reads of single sessions. While one query is in flight, the reads that arrive collect, and the next query answers them all.

use std::{collections::HashMap, io, time::Duration};

use faceofmind_db::{Database, MAX_ROWS, StoreError};
use faceofmind_platform::caller;
use faceofmind_runtime::{Actor, AskError, Batch, FlushGuard, FlushId, Handle, Handler, Message, ReplyTo};
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;
use tracing::Span;

use super::{
    commands::ACTOR,
    messages::{GetSession, SessionError},
    queries,
    session::Session,
    store::OwnedSession,
};

/// The most connections that read single sessions at a time.
const MAX_CONNECTIONS: usize = 4;

/// A query that takes longer holds up no other: its connection may be silent.
const MAX_IN_FLIGHT: Duration = Duration::from_millis(500);

/// The reads that wait for the next query.
pub(super) struct SessionReads {
    batch: Batch<PendingRead>,
    /// When the last query began.
    began: Instant,
}

/// A read and the caller that waits for it.
pub(super) struct PendingRead {
    session: OwnedSession,
    reply: ReplyTo<GetSession>,
}

/// A query has answered its reads, or failed.
pub(super) struct ReadsAnswered(pub(super) FlushId);

impl Message for ReadsAnswered {
    type Output = ();
    type Error = AskError;
}

impl SessionReads {
    /// Returns none, and tells that actor when a query has ended.
    pub(super) fn new<A: Actor + Handler<ReadsAnswered>>(handle: &Handle<A>) -> Self {
        let handle = handle.clone();
        let batch = Batch::new(MAX_ROWS, move |query| handle.tell(ReadsAnswered(query)));
        let batch = batch.refuse_late(|late: PendingRead| late.reply.send(Err(AskError::TimedOut(ACTOR).into())));
        Self { batch, began: Instant::now() }
    }

    pub(super) fn push(&mut self, GetSession { user, session }: GetSession, reply: ReplyTo<GetSession>) {
        self.batch.push_weighted(caller::user(user), PendingRead { session: (session, user), reply }, 1);
    }

    /// Returns the reads of the next query, unless one is in flight or none waits. Keep the guard until [`answer`] has ended.
    pub(super) fn next(&mut self) -> Option<(Vec<PendingRead>, FlushGuard)> {
        if self.began.elapsed() > MAX_IN_FLIGHT {
            self.batch.reset();
        }
        let next = self.batch.start_flush()?;
        self.began = Instant::now();
        Some(next)
    }

    pub(super) fn finish(&mut self, query: FlushId) {
        self.batch.finish_flush(query);
    }

    /// How many wait for a query.
    pub(super) fn pending(&self) -> usize {
        self.batch.pending()
    }

    /// Forgets the query in flight, for an actor that is stopping.
    pub(super) fn finish_all(&mut self) {
        self.batch.reset();
    }
}

/// The span of a query. It follows from the spans of its requests.
pub(super) fn span(reads: &[PendingRead]) -> Span {
    let span = tracing::debug_span!(parent: None, "session_reads", sessions = reads.len());
    for read in reads {
        span.follows_from(read.reply.span());
    }
    span
}

/// Answers every caller that still waits, with one query. Where a row cannot be read, reads each session alone, so that one fails alone.
pub(super) async fn answer(db: &Database, mut reads: Vec<PendingRead>) {
    reads.retain(|read| !read.reply.caller_gone());
    if reads.is_empty() {
        return;
    }
    let sessions: Vec<OwnedSession> = reads.iter().map(|read| read.session).collect();
    match queries::find(db, &sessions).await {
        Ok(found) => reply_all(reads, found),
        Err(error) if reads.len() > 1 && error.is_row_error() => {
            tracing::warn!(sessions = reads.len(), %error, "read of several sessions failed; reading them one by one");
            answer_individually(db, reads).await;
        }
        Err(error) => fail_all(reads, error),
    }
}

async fn answer_individually(db: &Database, reads: Vec<PendingRead>) {
    let answer = async |PendingRead { session: (id, user), reply }| reply.send(queries::get(db, user, id).await);
    stream::iter(reads).for_each_concurrent(MAX_CONNECTIONS, answer).await;
}

fn reply_all(reads: Vec<PendingRead>, found: Vec<Session>) {
    let found: HashMap<OwnedSession, Session> =
        found.into_iter().map(|session| ((session.id, session.user_id), session)).collect();
    for PendingRead { session, reply } in reads {
        reply.send(found.get(&session).copied().ok_or(SessionError::NotFound));
    }
}

/// Fails the first read with the error, and the others as unavailable: errors of the database cannot be cloned.
fn fail_all(reads: Vec<PendingRead>, error: StoreError) {
    let mut first = Some(error);
    for read in reads {
        let error = first.take().unwrap_or_else(|| {
            StoreError::Unavailable(io::Error::other("the query failed; the first of its reads has the cause").into())
        });
        read.reply.send(Err(error.into()));
    }
}
