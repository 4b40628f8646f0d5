//! Commands that wait for a batch.

use std::{
    slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use faceofmind_model::UserId;
use faceofmind_platform::idempotency::StoredResponse;
use faceofmind_runtime::{AskError, KeyCounts, Message, ReplyTo};
use tracing::Span;

use super::{
    detection::{CrisisResponse, Detection, DetectionsRecorded, EmotionProcessed},
    feedback::{Feedback, Rating},
    messages::{CommandContext, Respond, SessionError},
    session::{Session, SessionId},
    store::OwnedSession,
};
use crate::suggestions::Advice;

/// The actor that carries them out.
pub(super) const ACTOR: &str = "session_tracker";

/// A requested write, with what makes its response.
pub(super) enum Command {
    Start(Respond<Session>),
    Record {
        session: SessionId,
        detections: Vec<Detection>,
        crisis: Option<CrisisResponse>,
        respond: Respond<DetectionsRecorded>,
    },
    Process {
        session: SessionId,
        detection: Detection,
        advice: Advice,
        respond: Respond<EmotionProcessed>,
    },
    Rate {
        session: SessionId,
        rating: Rating,
        respond: Respond<Feedback>,
    },
    End(SessionId, Respond<Session>),
    Delete(SessionId, Respond<Session>),
}

/// A command that counts more rows of one table is written alone, beside the batches, so that those do not take long.
const MAX_ROWS_IN_BATCH: usize = 128;
/// A text of more bytes counts as several rows: a batch of the most rows holds a few MiB of texts, and a text of more than 512 KiB is written alone.
const BYTES_OF_ROW: usize = 4 << 10;

impl Command {
    /// The existing session that it changes.
    pub(super) fn session(&self) -> Option<SessionId> {
        match self {
            Self::Start(_) => None,
            Self::Record { session, .. } | Self::Process { session, .. } | Self::Rate { session, .. } => Some(*session),
            Self::End(session, _) | Self::Delete(session, _) => Some(*session),
        }
    }

    fn lane(&self, user: UserId) -> Lane {
        self.session().map_or(Lane::User(user), Lane::Session)
    }

    /// The number of rows that it writes into the table where it writes most, where long texts count as several.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Record { detections, .. } => detections.len().max(rows_of(detections)),
            Self::Process { detection, .. } => rows_of(slice::from_ref(detection)).max(1),
            _ => 1,
        }
    }
}

fn rows_of(detections: &[Detection]) -> usize {
    let bytes: usize = detections.iter().map(|detection| detection.voice_content().len()).sum();
    bytes / BYTES_OF_ROW
}

/// The outcome of one command.
pub(super) type CommandResult = Result<StoredResponse, SessionError>;

/// A command and the caller that waits for it.
pub(super) struct PendingCommand {
    pub(super) context: CommandContext,
    pub(super) command: Command,
    pub(super) caller: Box<dyn Caller>,
    /// A later command has a greater number.
    pub(super) number: u64,
    /// Set while it is a large command that waits for its turn or is being written.
    hold: Option<LaneHold>,
}

impl PendingCommand {
    pub(super) fn new(context: CommandContext, command: Command, caller: impl Caller + 'static) -> Self {
        Self { context, command, caller: Box::new(caller), number: 0, hold: None }
    }

    /// The existing session that it changes, and the user that must own it.
    pub(super) fn owned_session(&self) -> Option<OwnedSession> {
        Some((self.command.session()?, self.context.user))
    }

    /// Whether it adds rows that refer to the user: a session, or the stored response of a key.
    pub(super) fn adds_rows_of_user(&self) -> bool {
        self.context.key.is_some() || matches!(self.command, Command::Start(_))
    }

    /// Whether it is written alone, beside the batches.
    pub(super) fn is_large(&self) -> bool {
        self.command.rows() > MAX_ROWS_IN_BATCH
    }

    /// What it counts in a batch, in rows. A large command only passes through one, behind the earlier commands of its lane.
    pub(super) fn weight(&self) -> usize {
        if self.is_large() { 1 } else { self.command.rows() }
    }

    /// Holds up the commands behind it in its lane, until it leaves the lane or is dropped.
    pub(super) fn hold_lane(&mut self, lanes: &HeldLanes) {
        self.hold = Some(lanes.hold(self.lane()));
    }

    pub(super) fn leave_lane(&mut self) {
        self.hold = None;
    }

    /// What it is carried out in order with.
    pub(super) fn lane(&self) -> Lane {
        self.command.lane(self.context.user)
    }
}

/// Commands of one lane are carried out in the order of their arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    Session(SessionId),
    /// Starts of the user's sessions.
    User(UserId),
}

/// The lanes of large commands that are not done. Clones share them.
#[derive(Clone, Default)]
pub(super) struct HeldLanes(Arc<Mutex<KeyCounts<Lane>>>);

impl HeldLanes {
    fn hold(&self, lane: Lane) -> LaneHold {
        self.lanes().add(lane);
        LaneHold { lanes: self.clone(), lane }
    }

    /// Whether a large command of the lane is not done.
    pub(super) fn are_holding(&self, lane: Lane) -> bool {
        self.lanes().of(&lane) > 0
    }

    fn lanes(&self) -> MutexGuard<'_, KeyCounts<Lane>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by a large command. Dropping it lets the commands behind it go on.
struct LaneHold {
    lanes: HeldLanes,
    lane: Lane,
}

impl Drop for LaneHold {
    fn drop(&mut self) {
        self.lanes.lanes().remove(&self.lane);
    }
}

/// The [`ReplyTo`] of any command's message.
pub(super) trait Caller: Send + Sync {
    fn reply(self: Box<Self>, result: CommandResult);
    /// Begins to write for the caller. Returns false when it had gone before: the command is then never written.
    fn begin(&self) -> bool;
    fn span(&self) -> &Span;
}

impl<M: Message<Output = StoredResponse, Error = SessionError>> Caller for ReplyTo<M> {
    fn reply(self: Box<Self>, result: CommandResult) {
        self.send(result);
    }

    fn begin(&self) -> bool {
        // What has begun is completed, whether or not its caller still waits.
        self.gate().has_begun() || (!self.caller_gone() && self.gate().begin())
    }

    fn span(&self) -> &Span {
        ReplyTo::span(self)
    }
}

/// Puts a prepared command into the next batch.
pub(super) struct Enqueue(pub(super) PendingCommand);

impl Message for Enqueue {
    type Output = ();
    type Error = AskError;
}

#[cfg(test)]
mod tests {
    use faceofmind_db::MAX_ROWS;

    use super::*;

    fn said(bytes: usize) -> Command {
        let detection = Detection::new("sad".into(), ".".repeat(bytes));
        let advice = Advice { lines: Vec::new(), urls: Vec::new(), crisis: false };
        let respond = |_: EmotionProcessed| StoredResponse { status: 200, body: String::new() };
        Command::Process { session: SessionId(1), detection, advice, respond }
    }

    #[test]
    fn a_long_text_counts_as_several_rows_so_that_a_batch_holds_few_of_them() {
        for (bytes, rows) in [(0, 1), (2000, 1), (100_000, 24), (1 << 20, 256)] {
            assert_eq!(said(bytes).rows(), rows, "{bytes}");
        }
        assert!(said(1 << 20).rows() > MAX_ROWS_IN_BATCH, "it is written alone");
        let largest = (MAX_ROWS_IN_BATCH + 1) * BYTES_OF_ROW - 1;
        assert!(said(largest).rows() == MAX_ROWS_IN_BATCH && MAX_ROWS / MAX_ROWS_IN_BATCH * largest < 4 << 20);
    }
}
