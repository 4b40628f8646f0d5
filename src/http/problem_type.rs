//! The types of problems: what a program branches on (RFC 9457 §3.1.1).

use salvo::{
    http::StatusCode,
    oapi::{BasicType, Components, Object, Ref, RefOr, Schema, ToSchema},
};
use serde::{Serialize, Serializer};

/// The schema's name in the OpenAPI document.
const SCHEMA: &str = "ProblemType";

/// Declares the types: status, URI reference, and meaning. The meaning is shown in the OpenAPI document.
macro_rules! problem_types {
    ($(#[doc = $meaning:literal] $name:ident = $status:ident $uri:literal,)+) => {
        /// The type of a problem. Each has one status, but for `refused` and `internal`.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum ProblemType {
            $(#[doc = $meaning] $name,)+
        }

        impl ProblemType {
            /// All types, in the order of the document.
            const ALL: &[Self] = &[$(Self::$name,)+];

            /// The URI reference, relative to the service.
            pub const fn uri(self) -> &'static str {
                match self {
                    $(Self::$name => $uri,)+
                }
            }

            /// The status of its problems.
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)+
                }
            }

            const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)+
                }
            }
        }
    };
}

problem_types! {
    /// The body stopped in the middle.
    BodyBrokenOff = BAD_REQUEST "/problems/body-broken-off",
    /// A feedback exists already.
    FeedbackAlreadySubmitted = BAD_REQUEST "/problems/feedback-already-submitted",
    /// The window of days does not exist.
    InvalidWindow = BAD_REQUEST "/problems/invalid-window",
    /// The request names no host, or two.
    NoHost = BAD_REQUEST "/problems/no-host",
    /// The one-time code is wrong, expired or used.
    OtpInvalid = BAD_REQUEST "/problems/otp-invalid",
    /// The session has not ended yet.
    SessionNotEnded = BAD_REQUEST "/problems/session-not-ended",
    /// The account waits for its verification.
    AccountInactive = BAD_REQUEST "/problems/account-inactive",
    /// The current password is wrong.
    WrongPassword = BAD_REQUEST "/problems/wrong-password",
    /// The address or the password is wrong.
    BadCredentials = UNAUTHORIZED "/problems/bad-credentials",
    /// The refresh token is wrong, expired or of an ended log-in.
    RefreshTokenInvalid = UNAUTHORIZED "/problems/refresh-token-invalid",
    /// The access token is missing, wrong, expired or revoked.
    Unauthorized = UNAUTHORIZED "/problems/unauthorized",
    /// The account is suspended or deactivated.
    AccountBarred = FORBIDDEN "/problems/account-barred",
    /// The user may not do this.
    Forbidden = FORBIDDEN "/problems/forbidden",
    /// The account has a role that cannot be changed in this way.
    NotAUserAccount = FORBIDDEN "/problems/not-a-user-account",
    /// Another user wrote it.
    NotTheAuthor = FORBIDDEN "/problems/not-the-author",
    /// It does not exist.
    NotFound = NOT_FOUND "/problems/not-found",
    /// The path does not take the method.
    MethodNotAllowed = METHOD_NOT_ALLOWED "/problems/method-not-allowed",
    /// The body did not arrive in time.
    BodyTooSlow = REQUEST_TIMEOUT "/problems/body-too-slow",
    /// Another request changed the same data at the same time.
    ConcurrentChange = CONFLICT "/problems/concurrent-change",
    /// The address has an account already.
    EmailTaken = CONFLICT "/problems/email-taken",
    /// The last active admin has to stay one.
    LastAdmin = CONFLICT "/problems/last-admin",
    /// The session has ended.
    SessionEnded = CONFLICT "/problems/session-ended",
    /// The user has as many reminders as one user may.
    TooManyReminders = CONFLICT "/problems/too-many-reminders",
    /// The body is too large.
    BodyTooLarge = PAYLOAD_TOO_LARGE "/problems/body-too-large",
    /// The body has a content coding.
    EncodedBody = UNSUPPORTED_MEDIA_TYPE "/problems/encoded-body",
    /// The body is not JSON.
    NotJson = UNSUPPORTED_MEDIA_TYPE "/problems/not-json",
    /// The new address is the present one.
    EmailUnchanged = UNPROCESSABLE_ENTITY "/problems/email-unchanged",
    /// The key was used with another body.
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY "/problems/idempotency-key-reused",
    /// Some fields are not valid.
    InvalidFields = UNPROCESSABLE_ENTITY "/problems/invalid-fields",
    /// The new password is too short, too long or too easy to guess.
    PasswordRefused = UNPROCESSABLE_ENTITY "/problems/password-refused",
    /// An export of the same user is in progress.
    ExportUnderWay = TOO_MANY_REQUESTS "/problems/export-under-way",
    /// A rate limit is reached.
    TooManyAttempts = TOO_MANY_REQUESTS "/problems/too-many-attempts",
    /// The user has as many event streams open as one user may.
    TooManyStreams = TOO_MANY_REQUESTS "/problems/too-many-streams",
    /// Too many requests of the same caller wait.
    TooManyWaiting = TOO_MANY_REQUESTS "/problems/too-many-waiting",
    /// The server refused the request; the status says why.
    Refused = BAD_REQUEST "/problems/refused",
    /// The fault is the service's.
    Internal = INTERNAL_SERVER_ERROR "/problems/internal",
    /// The deadline passed. Nothing was written.
    TimedOut = SERVICE_UNAVAILABLE "/problems/timed-out",
    /// A queue is full or a dependency is down. Nothing was written.
    Unavailable = SERVICE_UNAVAILABLE "/problems/unavailable",
    /// A write may have been done.
    OutcomeUnknown = GATEWAY_TIMEOUT "/problems/outcome-unknown",
}

impl Serialize for ProblemType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.uri())
    }
}

impl ToSchema for ProblemType {
    fn to_schema(components: &mut Components) -> RefOr<Schema> {
        components.schemas.insert(SCHEMA, schema());
        Ref::from_schema_name(SCHEMA).into()
    }
}

fn schema() -> Object {
    let meanings = ProblemType::ALL.iter().map(|one| {
        let (uri, status, meaning) = (one.uri(), one.status().as_u16(), one.meaning().trim());
        format!("\n- `{uri}` ({status}): {meaning}")
    });
    let description = format!("A stable URI reference for programs to branch on.\n{}", meanings.collect::<String>());
    let uris: Vec<_> = ProblemType::ALL.iter().map(|one| one.uri()).collect();
    Object::with_type(BasicType::String).description(description).enum_values(uris)
}
