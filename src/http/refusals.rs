//! What the rooms' errors are in HTTP: each in one place.

use std::time::Duration;

use faceofmind_actors::{
    community::CommunityError,
    exporter::ExportError,
    limits::LimitError,
    logins::{LoginError, TokenError},
    publisher::FeedError,
    reminders::ReminderError,
    session_tracker::SessionError,
    user_registry::{AccountError, PasswordError, PolicyViolation},
};
use faceofmind_kit::Failure;
use salvo::http::StatusCode;

use super::problem::{FieldError, Loc, Problem};

/// When to try again after a queue was full or a part was down.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Streams last; a place among them is not free in a moment.
const STREAM_RETRY_AFTER: Duration = Duration::from_secs(10);

/// When to look again whether an export of one's own has ended.
const EXPORT_RETRY_AFTER: Duration = Duration::from_secs(10);

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        if failure.is_transient() {
            tracing::warn!(%failure, "not done");
            Self::unavailable(RETRY_AFTER)
        } else {
            tracing::error!(%failure, "a defect of ours");
            Self::internal()
        }
    }
}

impl From<FeedError> for Problem {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::TooMany => {
                let detail = "You have as many event streams open as one user may. Close one of them first.";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", detail).retry_after(STREAM_RETRY_AFTER)
            }
            FeedError::AtCapacity => Self::unavailable(STREAM_RETRY_AFTER),
            FeedError::Store(error) => Failure::from(error).into(),
        }
    }
}

impl From<LimitError> for Problem {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::Exceeded { retry_after } => Self::too_many(retry_after),
            LimitError::Failed(failure) => failure.into(),
        }
    }
}

/// A password that breaks a rule, in the field where it was sent. The app looks for words in `detail`: it says what is wrong itself.
fn refused(refused: PolicyViolation, field: &'static str) -> Problem {
    let told = refused.to_string();
    let loc = vec![Loc::Name("body".into()), Loc::Name(field.into())];
    Problem::unprocessable("password-refused", told.clone()).with_errors(vec![FieldError { loc, msg: told.into() }])
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::InvalidCode => Self::bad_request("otp-invalid", "Invalid or expired OTP."),
            PasswordError::WrongPassword => Self::bad_request("wrong-password", "The current password is not right."),
            PasswordError::Policy(why) => refused(why, "new_password"),
            PasswordError::RateLimited { retry_after } => Self::too_many(retry_after),
            PasswordError::Ask(error) => Failure::from(error).into(),
            PasswordError::Store(error) => Failure::from(error).into(),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NotFound => Self::not_found("There is no such user."),
            AccountError::LastAdmin => {
                Self::conflict("This is the last active admin: make another one first.").kind("last-admin")
            }
            AccountError::NotAUserAccount => {
                Self::forbidden("Only an account with the role user can be changed in this way.")
                    .kind("not-a-user-account")
            }
            AccountError::EmailTaken => {
                Self::conflict("This e-mail address has an account already.").kind("email-taken")
            }
            AccountError::EmailUnchanged => {
                let detail = "This is the address of your account already.";
                let loc = vec![Loc::Name("body".into()), Loc::Name("new_email".into())];
                Self::unprocessable("email-unchanged", detail).with_errors(vec![FieldError { loc, msg: detail.into() }])
            }
            AccountError::InvalidCode => Self::bad_request("otp-invalid", "Invalid or expired OTP"),
            AccountError::Policy(why) => refused(why, "password"),
            AccountError::RateLimited { retry_after } => Self::too_many(retry_after),
            AccountError::Ask(error) => Failure::from(error).into(),
            AccountError::Store(error) => Failure::from(error).into(),
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => Self::unauthorized("Incorrect email or password").kind("bad-credentials"),
            LoginError::Inactive => {
                Self::bad_request("account-inactive", "Account is not active. Please verify your email.")
            }
            LoginError::AccountDisabled(status) => {
                Self::forbidden(format!("This account is {}.", status.as_str())).kind("account-barred")
            }
            LoginError::RateLimited { retry_after } => Self::too_many(retry_after),
            LoginError::Ask(error) => Failure::from(error).into(),
            LoginError::Store(error) => Failure::from(error).into(),
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid => Self::unauthorized("Invalid refresh token").kind("refresh-token-invalid"),
            TokenError::Ask(error) => Failure::from(error).into(),
            TokenError::Store(error) => Failure::from(error).into(),
        }
    }
}

fn key_reused() -> Problem {
    let told = "This Idempotency-Key was used with another body: send a new key with a new request.";
    Problem::unprocessable("idempotency-key-reused", told)
}

impl From<CommunityError> for Problem {
    fn from(error: CommunityError) -> Self {
        match error {
            CommunityError::PostNotFound => Self::not_found("There is no such post."),
            CommunityError::CommentNotFound => Self::not_found("There is no such comment under this post."),
            CommunityError::NotAuthor => Self::forbidden("Somebody else wrote this.").kind("not-the-author"),
            CommunityError::UserNotFound => Self::unauthorized("Could not validate credentials"),
            CommunityError::KeyReused => key_reused(),
            CommunityError::RateLimited { retry_after } => Self::too_many(retry_after),
            CommunityError::Ask(error) => Failure::from(error).into(),
            CommunityError::Store(error) => Failure::from(error).into(),
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::InProgress => {
                let detail = "An export of yours is under way: let it end first.";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "export-under-way", detail).retry_after(EXPORT_RETRY_AFTER)
            }
            ExportError::Ask(error) => Failure::from(error).into(),
            ExportError::Store(error) => Failure::from(error).into(),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::NotFound => Self::not_found("There is no such session."),
            SessionError::Ended => Self::conflict(
                "This session has ended: it takes in what was felt before its end. Start another for what is felt now.",
            )
            .kind("session-ended"),
            SessionError::NotEnded => Self::bad_request("session-not-ended", "Session not ended yet"),
            SessionError::AlreadyRated => Self::bad_request("feedback-already-submitted", "Feedback already submitted"),
            SessionError::KeyReused => key_reused(),
            SessionError::Ask(error) => Failure::from(error).into(),
            SessionError::Store(error) => Failure::from(error).into(),
        }
    }
}

impl From<ReminderError> for Problem {
    fn from(error: ReminderError) -> Self {
        match error {
            ReminderError::NotFound => Self::not_found("There is no such reminder."),
            ReminderError::KeyReused => key_reused(),
            ReminderError::TooMany => {
                let detail = "You have as many reminders as one user may. Delete some of them first.";
                Self::conflict(detail).kind("too-many-reminders")
            }
            ReminderError::Failed(failure) => failure.into(),
        }
    }
}
