//! Every error of the API: its status, its type, and the text that a person reads. No other file has them, but for the messages about single
//! fields, which stand with their validators.

use std::time::Duration;

use faceofmind_db::StoreError;
use faceofmind_domain::{
    accounts::{AccountError, PasswordError, PolicyViolation},
    community::CommunityError,
    logins::{LoginError, TokenError},
    reminders::ReminderError,
    sessions::SessionError,
};
use faceofmind_platform::{outbox::FeedError, rate_limit::RateLimitError};
use faceofmind_runtime::AskError;
use faceofmind_system::exporter::ExportError;
use salvo::http::StatusCode;

use super::{
    problem::{FieldError, Problem},
    problem_type::ProblemType,
    sampling::sample,
};

/// `Retry-After` when a queue was full, a dependency was down or a request timed out.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// `Retry-After` when the limit of event streams is reached. Streams last long.
const STREAM_RETRY_AFTER: Duration = Duration::from_secs(10);
/// `Retry-After` when another export of the user is in progress.
const EXPORT_RETRY_AFTER: Duration = Duration::from_secs(10);
/// The fields that the `detail` of a 422 names. A list of 1,000 items may have thousands.
const MAX_NAMED_FIELDS: usize = 10;

/// Errors of the edge itself.
impl Problem {
    /// 413; `limit` in bytes.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("The body is larger than {limit} bytes.");
        Self::new(ProblemType::BodyTooLarge, detail)
    }

    /// 415.
    pub fn not_json() -> Self {
        let detail = "The body must be JSON, sent as application/json.";
        Self::new(ProblemType::NotJson, detail)
    }

    /// 415 for a body with a `Content-Encoding`.
    pub fn encoded_body() -> Self {
        let detail = "The body must be sent as it is, without Content-Encoding.";
        Self::new(ProblemType::EncodedBody, detail)
    }

    /// 408, when a body did not arrive in time. The connection closes, since the rest of the body may still come.
    pub fn body_too_slow() -> Self {
        let detail = "The body did not arrive in time. Please send it again.";
        Self::new(ProblemType::BodyTooSlow, detail)
    }

    /// 400 for a request that names no host, or two.
    pub fn no_host() -> Self {
        Self::new(ProblemType::NoHost, "The request must have one Host header, with the name of the service.")
    }

    /// 400, when the client stopped sending in the middle of a body.
    pub fn body_cut_off() -> Self {
        Self::new(ProblemType::BodyBrokenOff, "The body broke off before its end.")
    }

    /// 422. `errors` names the fields, and so does `detail`, the only text that the app shows.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let mut named: Vec<_> = errors.iter().take(MAX_NAMED_FIELDS).map(ToString::to_string).collect();
        let unnamed = errors.len().saturating_sub(MAX_NAMED_FIELDS);
        named.extend((unnamed > 0).then(|| format!("and {unnamed} more")));
        Self::new(ProblemType::InvalidFields, named.join("; ")).with_errors(errors)
    }

    /// 401 for a request without a token.
    pub fn not_authenticated() -> Self {
        Self::new(ProblemType::Unauthorized, "Not authenticated")
    }

    /// 401 for a token that is malformed, expired or revoked.
    pub fn invalid_token() -> Self {
        Self::new(ProblemType::Unauthorized, "Could not validate credentials")
    }

    /// 403 for a user without the permission.
    pub fn not_permitted() -> Self {
        Self::new(ProblemType::Forbidden, "Not enough permissions")
    }

    /// 404 for a path without a route.
    pub fn path_not_found() -> Self {
        Self::new(ProblemType::NotFound, "There is nothing at this path.")
    }

    /// 404 for a user.
    pub fn user_not_found() -> Self {
        Self::new(ProblemType::NotFound, "There is no such user.")
    }

    /// 404 for a login.
    pub fn login_not_found() -> Self {
        Self::new(ProblemType::NotFound, "There is no such log-in.")
    }

    /// 400 for a window of days that does not exist.
    pub fn invalid_window() -> Self {
        Self::new(ProblemType::InvalidWindow, "Invalid window")
    }

    /// 429, with the time until the next attempt is possible.
    pub fn too_many(retry_after: Duration) -> Self {
        Self::new(ProblemType::TooManyAttempts, "Too many attempts.").retry_after(retry_after)
    }

    /// 500. The log has the cause, under the id of the request.
    pub fn internal() -> Self {
        let detail = "Something went wrong on our side; the log tells what, under this request_id.";
        Self::new(ProblemType::Internal, detail)
    }

    /// 503: a queue is full or a dependency is down. Nothing was written.
    pub fn unavailable(retry_after: Duration) -> Self {
        let detail = "The service cannot do this right now. Please try again shortly.";
        Self::new(ProblemType::Unavailable, detail).retry_after(retry_after)
    }

    /// 503: more requests wait than the service begins in time. Nothing was done.
    pub fn overloaded() -> Self {
        Self::unavailable(RETRY_AFTER)
    }

    /// 503: the deadline of the request passed.
    pub fn timed_out() -> Self {
        let detail = "The service could not do this in time. Please try again shortly.";
        Self::new(ProblemType::TimedOut, detail).retry_after(RETRY_AFTER)
    }

    /// 504: a write has begun, and its end was not reported. It may have been done, so there is no `Retry-After`.
    pub fn outcome_unknown() -> Self {
        let detail = "The service cannot say whether this was done. A repeat with the same Idempotency-Key does it at most once; without \
                      such a key, please look first.";
        Self::new(ProblemType::OutcomeUnknown, detail)
    }

    /// The problem of a status that the framework has set without a body.
    pub fn from_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::path_not_found(),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                ProblemType::MethodNotAllowed,
                "This path does not take this method; Allow lists those it takes.",
            ),
            StatusCode::SERVICE_UNAVAILABLE => Self::unavailable(RETRY_AFTER),
            status if status.is_server_error() => Self::internal().with_status(status),
            status => Self::new(ProblemType::Refused, "The request was refused.").with_status(status),
        }
    }

    fn invalid_otp(detail: &'static str) -> Self {
        Self::new(ProblemType::OtpInvalid, detail)
    }

    fn key_reused() -> Self {
        let detail = "This Idempotency-Key was used with another body: send a new key with a new request.";
        Self::new(ProblemType::IdempotencyKeyReused, detail)
    }

    /// 422 for one field of the body. The app searches `detail` for words, so it says what is wrong.
    fn invalid_field(kind: ProblemType, name: &'static str, message: &'static str) -> Self {
        Self::new(kind, message).with_errors(vec![FieldError::new("body", name, message)])
    }

    fn password_policy(violation: PolicyViolation, field: &'static str) -> Self {
        let message = match violation {
            PolicyViolation::TooShort => "The password is too short: it needs at least 8 characters.",
            PolicyViolation::TooLong => "The password is too long: it may have at most 128 characters.",
            PolicyViolation::Reserved => "This password cannot be used: please choose another.",
            PolicyViolation::TooWeak => {
                "This password is too easy to guess: please choose a longer or less common password."
            }
        };
        Self::invalid_field(ProblemType::PasswordRefused, field, message)
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        match error {
            AskError::OutcomeUnknown(_) => {
                tracing::warn!(%error, "request failed: outcome unknown");
                Self::outcome_unknown()
            }
            AskError::OverShare(_) => {
                let detail = "Too many requests of yours are waiting.";
                Self::new(ProblemType::TooManyWaiting, detail).retry_after(RETRY_AFTER)
            }
            AskError::Busy(_) | AskError::Unavailable(_) | AskError::TimedOut(_) => {
                if let Some(left_out) = sample(&error.to_string()) {
                    tracing::warn!(%error, left_out, "request failed: dependency unavailable");
                }
                Self::unavailable(RETRY_AFTER)
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::TimedOut(_) | StoreError::SchemaTooOld { .. } => {
                if let Some(left_out) = sample("database") {
                    tracing::warn!(%error, left_out, "request failed: dependency unavailable");
                }
                Self::unavailable(RETRY_AFTER)
            }
            StoreError::OutcomeUnknown(_) => {
                tracing::warn!(%error, "request failed: outcome unknown");
                Self::outcome_unknown()
            }
            StoreError::Conflict => {
                let detail = "Another request changed the same data at the same time. Please try again.";
                Self::new(ProblemType::ConcurrentChange, detail)
            }
            StoreError::Corrupt(_) => {
                tracing::error!(%error, "request failed: stored data is lost or corrupt");
                Self::internal()
            }
            StoreError::Rejected(_) | StoreError::UnexpectedPooler => {
                tracing::error!(%error, "request failed: internal error");
                Self::internal()
            }
        }
    }
}

impl From<FeedError> for Problem {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Limit(AskError::OverShare(_)) => {
                let detail = "You have as many event streams open as one user may. Close one of them first.";
                Self::new(ProblemType::TooManyStreams, detail).retry_after(STREAM_RETRY_AFTER)
            }
            FeedError::Limit(_) => Self::unavailable(STREAM_RETRY_AFTER),
            FeedError::Store(error) => error.into(),
        }
    }
}

impl From<RateLimitError> for Problem {
    fn from(error: RateLimitError) -> Self {
        match error {
            RateLimitError::Exceeded { retry_after } => Self::too_many(retry_after),
            RateLimitError::Ask(error) => error.into(),
        }
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::InvalidCode => Self::invalid_otp("Invalid or expired OTP."),
            PasswordError::WrongPassword => Self::new(ProblemType::WrongPassword, "The current password is not right."),
            PasswordError::Policy(violation) => Self::password_policy(violation, "new_password"),
            PasswordError::RateLimited { retry_after } => Self::too_many(retry_after),
            PasswordError::Ask(error) => error.into(),
            PasswordError::Store(error) => error.into(),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NotFound => Self::user_not_found(),
            AccountError::LastAdmin => {
                Self::new(ProblemType::LastAdmin, "This is the last active admin: make another one first.")
            }
            AccountError::NotAUserAccount => {
                let detail = "Only an account with the role user can be changed in this way.";
                Self::new(ProblemType::NotAUserAccount, detail)
            }
            AccountError::EmailTaken => {
                Self::new(ProblemType::EmailTaken, "This e-mail address has an account already.")
            }
            AccountError::EmailUnchanged => Self::invalid_field(
                ProblemType::EmailUnchanged,
                "new_email",
                "This is the address of your account already.",
            ),
            AccountError::InvalidCode => Self::invalid_otp("Invalid or expired OTP"),
            AccountError::Policy(violation) => Self::password_policy(violation, "password"),
            AccountError::RateLimited { retry_after } => Self::too_many(retry_after),
            AccountError::Ask(error) => error.into(),
            AccountError::Store(error) => error.into(),
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => Self::new(ProblemType::BadCredentials, "Incorrect email or password"),
            LoginError::Inactive => {
                Self::new(ProblemType::AccountInactive, "Account is not active. Please verify your email.")
            }
            LoginError::AccountDisabled(status) => {
                Self::new(ProblemType::AccountBarred, format!("This account is {}.", status.as_str()))
            }
            LoginError::RateLimited { retry_after } => Self::too_many(retry_after),
            LoginError::Ask(error) => error.into(),
            LoginError::Store(error) => error.into(),
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid => Self::new(ProblemType::RefreshTokenInvalid, "Invalid refresh token"),
            TokenError::Ask(error) => error.into(),
            TokenError::Store(error) => error.into(),
        }
    }
}

impl From<CommunityError> for Problem {
    fn from(error: CommunityError) -> Self {
        match error {
            CommunityError::PostNotFound => Self::new(ProblemType::NotFound, "There is no such post."),
            CommunityError::CommentNotFound => {
                Self::new(ProblemType::NotFound, "There is no such comment under this post.")
            }
            CommunityError::NotAuthor => Self::new(ProblemType::NotTheAuthor, "Somebody else wrote this."),
            CommunityError::UserNotFound => Self::invalid_token(),
            CommunityError::KeyReused => Self::key_reused(),
            CommunityError::RateLimited { retry_after } => Self::too_many(retry_after),
            CommunityError::Ask(error) => error.into(),
            CommunityError::Store(error) => error.into(),
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::InProgress => {
                let detail = "An export of yours is under way: let it end first.";
                Self::new(ProblemType::ExportUnderWay, detail).retry_after(EXPORT_RETRY_AFTER)
            }
            ExportError::Ask(error) => error.into(),
            ExportError::Store(error) => error.into(),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::NotFound => Self::new(ProblemType::NotFound, "There is no such session."),
            SessionError::UserNotFound => Self::invalid_token(),
            SessionError::Ended => Self::new(
                ProblemType::SessionEnded,
                "This session has ended: it takes in what was felt before its end. Start another for what is felt now.",
            ),
            SessionError::NotEnded => Self::new(ProblemType::SessionNotEnded, "Session not ended yet"),
            SessionError::AlreadyRated => {
                Self::new(ProblemType::FeedbackAlreadySubmitted, "Feedback already submitted")
            }
            SessionError::KeyReused => Self::key_reused(),
            SessionError::Ask(error) => error.into(),
            SessionError::Store(error) => error.into(),
        }
    }
}

impl From<ReminderError> for Problem {
    fn from(error: ReminderError) -> Self {
        match error {
            ReminderError::NotFound => Self::new(ProblemType::NotFound, "There is no such reminder."),
            ReminderError::KeyReused => Self::key_reused(),
            ReminderError::TooMany => {
                let detail = "You have as many reminders as one user may. Delete some of them first.";
                Self::new(ProblemType::TooManyReminders, detail)
            }
            ReminderError::Ask(error) => error.into(),
            ReminderError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests;
