//! Ids, plain values, rules without I/O and events: what every module speaks of. One file a noun.

#![warn(missing_docs)]

pub mod community;
pub mod emotion;
pub mod event;
pub mod login;
pub mod mail_reason;
pub mod otp_code;
pub mod page;
pub mod reminder;
pub mod request_context;
pub mod session;
pub mod text;
pub mod user;

pub use community::{CommentId, PostId};
pub use login::LoginId;
pub use mail_reason::{FoldedNotices, FoldedTopic, MailPriority, MailReason};
pub use otp_code::{LinkToken, OtpCode};
pub use page::{Page, PageRequest};
pub use reminder::ReminderId;
pub use request_context::RequestContext;
pub use session::{DetectionId, FeedbackId, SessionId};
pub use user::{ClaimId, Email, Role, Status, User, UserChange, UserId};
