//! What the issuer can be asked.

use std::time::Duration;

use faceofmind_db::StoreError;
use faceofmind_model::{ClaimId, Email, LinkToken, OtpCode, UserId};
use faceofmind_runtime::{AskError, Message, messages};
use secrecy::SecretString;
use uuid::Uuid;

use crate::rate_limit::RateLimitError;

/// What a code is valid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Verifying the address of a new account.
    Verification,
    /// Setting a new password.
    PasswordReset,
    /// Verifying the new address of an account.
    EmailChange,
}

impl Purpose {
    /// The word in the store.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::PasswordReset => "password_reset",
            Self::EmailChange => "email_change",
        }
    }
}

/// Issues a code that is about to be mailed. Earlier codes stay valid until they expire.
#[derive(Clone, Debug)]
pub struct IssueCode {
    pub purpose: Purpose,
    /// Where the code will be mailed.
    pub address: Email,
    /// The registration or e-mail change that the code verifies, if any. [`VerifyCode`] returns it.
    pub claim: Option<ClaimId>,
    /// The mail job that will carry the code.
    pub job: Uuid,
    /// The client that caused the mail job.
    pub client: String,
    /// Whether the account knows the client's network. What strangers cause uses up nothing of its quota.
    pub is_known: bool,
}

impl Message for IssueCode {
    /// `None` when the code exceeds the quota.
    type Output = Option<IssuedCode>;
    type Error = OtpError;
}

/// A code in clear text. It is not stored so.
#[derive(Clone, Debug)]
pub struct IssuedCode {
    pub code: OtpCode,
    /// For the mail of an account for which strangers may enter no more codes: it is entered in the place of the code, and no limit counts it.
    pub link: Option<LinkToken>,
    pub expires_in: Duration,
}

/// Verifies a code that a person entered. A wrong one costs every live code of that address and purpose an attempt.
#[derive(Clone, Debug)]
pub struct VerifyCode {
    pub purpose: Purpose,
    pub address: Email,
    /// As entered: it need not be six digits. The token of a link is entered in the place of a code.
    pub code: SecretString,
    /// The client that sent it.
    pub client: String,
    pub guesser: Guesser,
    pub on_match: OnMatch,
}

/// How the account knows the client that enters a code. Wrong codes of each kind are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guesser {
    /// Not at all.
    Stranger,
    /// By its network.
    KnownNetwork,
    /// It is signed in as this user.
    User(UserId),
}

/// What to do with the right code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMatch {
    /// Leave it valid.
    Keep,
    /// Consume it in the same step: of concurrent right answers one wins.
    Consume,
}

impl Message for VerifyCode {
    type Output = VerifiedCode;
    /// An address without codes gets the same error as a wrong code.
    type Error = OtpError;
}

/// Proves that the code of an address was entered. Only the issuer makes one.
#[derive(Clone, Debug)]
pub struct VerifiedCode {
    pub(super) key: CodeKey,
    pub(super) id: String,
    pub(super) claim: Option<ClaimId>,
}

impl VerifiedCode {
    /// The registration or e-mail change that the code was issued for.
    pub fn claim(&self) -> Option<ClaimId> {
        self.claim
    }
}

/// Consumes a verified code. Replies `false` when it has expired, or when another request has consumed it. After an error the code may be
/// consumed.
#[derive(Clone, Debug)]
pub struct ConsumeCode(pub VerifiedCode);

/// Makes a consumed code valid again, with the attempts and the time that it had left, because what it was for could not be written.
#[derive(Clone, Debug)]
pub struct UnconsumeCode(pub VerifiedCode);

/// Deletes all codes of that address and purpose, and with them what they used of the quota. After an error they expire in their time.
#[derive(Clone, Debug)]
pub struct RevokeCodes {
    pub purpose: Purpose,
    pub address: Email,
}

messages! {
    Error = OtpError;
    ConsumeCode => bool;
    UnconsumeCode => ();
    RevokeCodes => ();
}

/// Why a request about a code failed.
#[derive(Debug, thiserror::Error)]
pub enum OtpError {
    /// Wrong, expired, consumed, for another purpose, or no code at all. The caller does not learn which.
    #[error("the code is invalid or expired")]
    Invalid,
    /// The wrong codes of the day are used up, of the account or of the client, or too many guesses wait during the alarm.
    #[error("too many wrong codes; the next attempt is possible in {} s", retry_after.as_secs())]
    TooManyAttempts { retry_after: Duration },
    /// [`AskError::Unavailable`] also where Redis failed.
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RateLimitError> for OtpError {
    fn from(error: RateLimitError) -> Self {
        match error {
            RateLimitError::Exceeded { retry_after } => Self::TooManyAttempts { retry_after },
            RateLimitError::Ask(error) => Self::Ask(error),
        }
    }
}

/// Under which the codes of one address and purpose are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CodeKey {
    pub(super) purpose: Purpose,
    /// A keyed hash.
    pub(super) address: String,
}
