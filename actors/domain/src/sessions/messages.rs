//! What the session tracker can be asked. Messages have no `Debug`, because many hold what a user said.

use faceofmind_db::StoreError;
use faceofmind_model::{Page, PageRequest, UserId, event::EventContext};
use faceofmind_platform::idempotency::{IdempotencyKey, StoredResponse};
use faceofmind_runtime::{AskError, messages};
use jiff::tz::TimeZone;

use super::{
    charts::{DayStats, Diagnosis},
    detection::{Detection, DetectionsRecorded, EmotionProcessed},
    feedback::{Feedback, Rating},
    history::{History, HistoryCursor},
    session::{Session, SessionId, SessionSummary},
    window::Window,
};

/// Makes the response to a command. It is called inside the command's transaction, and the same bytes are stored and sent.
pub type Respond<T> = fn(T) -> StoredResponse;

/// What every command comes with.
#[derive(Clone, Debug)]
pub struct CommandContext {
    /// The owner of the sessions.
    pub user: UserId,
    /// The cause of the events.
    pub event: EventContext,
    /// A command with a key is carried out once. Repeated, it gets the stored response.
    pub key: Option<IdempotencyKey>,
}

/// Which language and which country's hotlines suggestions are for.
#[derive(Clone, Debug, Default)]
pub struct AdviceLocale {
    /// The user's time zone, an IANA name. It chooses the hotlines.
    pub time_zone: Option<String>,
    /// The user's language, a BCP 47 tag.
    pub language: Option<String>,
}

/// Starts a session. [`SessionError::UserNotFound`] when the user does not exist.
pub struct StartSession {
    pub context: CommandContext,
    pub respond: Respond<Session>,
}

/// Records detections, all or none. The session stays open. An ended session accepts detections from before its end.
///
/// When a detection mentions suicide or self-harm, the response holds a [`CrisisResponse`](super::CrisisResponse).
pub struct RecordDetections {
    pub context: CommandContext,
    pub session: SessionId,
    pub detections: Vec<Detection>,
    pub locale: AdviceLocale,
    pub respond: Respond<DetectionsRecorded>,
}

/// Records a detection with a suggestion, and ends the session. An ended session keeps its end.
///
/// The stored response and the session are looked up first, so that no suggestion is requested for a replay or for another user's session.
pub struct ProcessEmotion {
    pub context: CommandContext,
    pub session: SessionId,
    pub detection: Detection,
    pub locale: AdviceLocale,
    pub respond: Respond<EmotionProcessed>,
}

/// Records feedback on an ended session, at most once.
pub struct RateSession {
    pub context: CommandContext,
    pub session: SessionId,
    pub rating: Rating,
    pub respond: Respond<Feedback>,
}

/// Ends a session. An ended session stays as it is.
pub struct EndSession {
    pub context: CommandContext,
    pub session: SessionId,
    pub respond: Respond<Session>,
}

/// Deletes a session with everything recorded in it. `respond` takes the session as it was.
pub struct DeleteSession {
    pub context: CommandContext,
    pub session: SessionId,
    pub respond: Respond<Session>,
}

/// Reads one session.
pub struct GetSession {
    pub user: UserId,
    pub session: SessionId,
}

/// Counts the user's sessions.
pub struct CountSessions {
    pub user: UserId,
}

/// Lists the sessions of the reader, newest first.
pub struct ListSessions(pub PageRequest<SessionId>);

/// Reads a session with a page of what is recorded in it.
#[derive(Clone, Copy)]
pub struct GetHistory {
    pub user: UserId,
    pub session: SessionId,
    /// `next` of the page before. None: the first page.
    pub after: Option<HistoryCursor>,
}

/// Reads what was detected on each day of a window, in the order of the days.
pub struct GetDayStats {
    pub user: UserId,
    pub window: Window,
    /// Where the days begin. None: the default zone.
    pub zone: Option<TimeZone>,
}

/// Reads what was detected in a window as a whole.
pub struct Diagnose {
    pub user: UserId,
    pub window: Window,
    /// Where the days begin. None: the default zone.
    pub zone: Option<TimeZone>,
}

messages! {
    Error = SessionError;
    StartSession => StoredResponse;
    RecordDetections => StoredResponse;
    ProcessEmotion => StoredResponse;
    RateSession => StoredResponse;
    EndSession => StoredResponse;
    DeleteSession => StoredResponse;
    GetSession => Session;
    CountSessions => u64;
    ListSessions => Page<SessionSummary, SessionId>;
    GetHistory => History;
    GetDayStats => Vec<DayStats>;
    Diagnose => Diagnosis;
}

/// Why a request to the session tracker failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The user has no such session.
    #[error("session not found")]
    NotFound,
    /// The user was deleted meanwhile.
    #[error("the user does not exist")]
    UserNotFound,
    /// A detection is from after the session's end.
    #[error("session has ended before the detection")]
    Ended,
    #[error("session has not ended")]
    NotEnded,
    #[error("session already has feedback")]
    AlreadyRated,
    #[error("idempotency key was used with another body")]
    KeyReused,
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
