//! Sessions: a session is one check-in of a user, with the emotions detected in it and a rating after it. It is no login.
//!
//! Commands are written in batches: while one batch is being written, arriving commands collect, and the next transaction writes them
//! all. Queries run beside the batches; reads of single sessions are batched the same way.
//!
//! | file | holds |
//! |---|---|
//! | `messages`, `actor` | what the tracker can be asked, and how it handles it |
//! | `commands`, `batch_writer`, `batch_tx` | requested writes; a flush with its fallback to single commands; one transaction over a batch |
//! | `large_deletion` | what a large session holds, deleted in portions |
//! | `counting` | counts the detections of older and of changed sessions in the background |
//! | `suggestion_listing` | lists the suggestions of older sessions in the background |
//! | `session_reads` | reads of single sessions, answered by one query for many callers |
//! | `row_locks` | the rows of a batch, locked without waiting |
//! | `decide`, `write_set` | what a command may do and what follows; the rows to write |
//! | `session`, `detection`, `feedback`, `window`, `counts` | values and rules |
//! | `store`, `queries`, `history`, `charts`, `export`, `reencrypt` | SQL |
//! | `failpoint` | where a test lets a batch fail |

mod actor;
mod batch_tx;
mod batch_writer;
mod charts;
mod commands;
mod counting;
mod counts;
mod decide;
mod detection;
mod export;
mod failpoint;
mod feedback;
mod history;
mod large_deletion;
mod messages;
mod queries;
mod queues;
mod reencrypt;
mod row_locks;
mod session;
mod session_reads;
mod store;
mod suggestion_listing;
mod window;
mod write_set;

pub use actor::{SessionTracker, Settings, Status};
pub use charts::{DayStats, Diagnosis};
pub use counts::IntensityCounts;
pub use detection::{
    CrisisResponse, Detection, DetectionsRecorded, EmotionProcessed, MAX_DETECTIONS_PER_REQUEST, accepted_timestamps,
    voice_aad,
};
pub use export::export;
#[cfg(any(test, feature = "test-hooks"))]
pub use failpoint::{ArmFailPoint, FailPointSite};
pub use feedback::{Feedback, Rating};
pub use history::{DetectionRecord, FaceId, History, HistoryCursor, RelevantUrls, Suggestion, SuggestionId, VoiceId};
pub use messages::{
    AdviceLocale, CommandContext, CountSessions, DeleteSession, Diagnose, EndSession, GetDayStats, GetHistory,
    GetSession, ListSessions, ProcessEmotion, RateSession, RecordDetections, Respond, SessionError, StartSession,
};
pub use reencrypt::reencrypt;
pub use session::{DetectionId, FeedbackId, Session, SessionId, SessionSummary};
pub use store::erase;
pub use window::{InvalidWindow, Window};

#[cfg(test)]
mod tests;
