//! What the user registry can be asked. [`ListUsers`](super::ListUsers) is beside its SQL.

use std::time::Duration;

use faceofmind_model::{
    ClaimId, Email, LoginId, MailReason, RequestContext, User, UserChange, UserId, event::EventContext,
};
use faceofmind_platform::password_hasher::PasswordHash;
use faceofmind_runtime::messages;
use secrecy::SecretString;

use super::{AccountError, MailContext, PasswordError};

/// The deadline of requests that wait for other actors (hash queue, codes, rate limits) before they write. It is below the edge's own
/// limit of 30 s, so that the caller hears which actor was slow.
const CHAINED_DEADLINE: Duration = Duration::from_secs(28);

/// Reads a user; `None` when it does not exist.
#[derive(Debug)]
pub struct GetUser {
    pub id: UserId,
}

/// Reads what a password that was typed with this address is compared with.
#[derive(Debug)]
pub struct GetCredentials {
    pub email: Email,
}

/// A user, and what a password that was typed with the user's address is compared with.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub user: User,
    /// `None` after an admin activated an account with several pending registrations.
    pub password: Option<PasswordHash>,
    /// The newest pending registration of the address. While the account is inactive, its password is the account's.
    pub pending: Option<PendingCredentials>,
}

/// A pending registration and its password.
#[derive(Clone, Debug)]
pub struct PendingCredentials {
    pub registration: ClaimId,
    pub password: PasswordHash,
}

/// Reads what a queued mail is to say and its recipient; `None` when its reason has gone. Asked when the mail is about to be sent.
#[derive(Debug)]
pub struct GetMailContext {
    pub reason: MailReason,
}

/// Registers an unverified claim on an address and queues a mail. Neither the reply nor the work depends on whether the address is known.
#[derive(Debug)]
pub struct Register {
    pub email: Email,
    pub password: SecretString,
    /// 1 to 150 characters.
    pub first_name: String,
    /// 1 to 150 characters.
    pub last_name: String,
    pub context: RequestContext,
}

/// Activates the account with the pending registration that the code was sent for.
#[derive(Debug)]
pub struct VerifyEmail {
    pub email: Email,
    pub code: SecretString,
    pub context: RequestContext,
}

/// Queues the mail of a pending registration again after its password was typed: a fresh code, or for an account that is not inactive the
/// notice that the address was registered again. Nothing is queued when the user has changed since `revision`, or when another registration
/// is the newest.
#[derive(Debug)]
pub struct ResendVerificationCode {
    pub user: UserId,
    pub revision: i64,
    /// The registration with that password. `None` for an account without any, such as one that an admin has set back.
    pub registration: Option<ClaimId>,
    pub context: RequestContext,
}

/// Queues a code for a new password. Whether the address has an account is looked up when the mail is about to be sent.
#[derive(Debug)]
pub struct RequestPasswordReset {
    pub email: Email,
    pub context: RequestContext,
}

/// Sets a new password with a code and ends all logins of the user. The code is checked before the password, and it is consumed only when
/// the password is written.
#[derive(Debug)]
pub struct ResetPassword {
    pub email: Email,
    pub code: SecretString,
    pub new_password: SecretString,
    pub context: RequestContext,
}

/// Sets a new password and ends the user's other logins.
#[derive(Debug)]
pub struct ChangePassword {
    /// The user as they were when the current password was verified.
    pub verified: User,
    pub new_password: SecretString,
    /// The login that stays.
    pub keep: LoginId,
    pub context: RequestContext,
}

/// Puts a fresh hash of the same password in the place of the old one, unless the password has changed.
#[derive(Debug)]
pub struct RenewPasswordHash {
    pub user: UserId,
    pub old: PasswordHash,
    pub new: PasswordHash,
}

/// Queues a code to the new address and a notice to the old one. It counts as a registration does, and neither the reply nor the work
/// depends on whether the new address has an account.
#[derive(Debug)]
pub struct RequestEmailChange {
    /// The user as they were when the current password was verified.
    pub verified: User,
    pub new_email: Email,
    pub context: RequestContext,
}

/// Gives the account the address that the code was sent to and ends the user's other logins.
#[derive(Debug)]
pub struct ConfirmEmailChange {
    pub user: UserId,
    pub code: SecretString,
    /// The login that stays.
    pub keep: LoginId,
    pub context: RequestContext,
}

/// Changes a user. All logins end when the account is no longer active.
#[derive(Debug)]
pub struct UpdateUser {
    pub user: UserId,
    pub change: UserChange,
    /// Refuses to change an account with another role than `user`.
    pub require_user_role: bool,
    pub events: EventContext,
}

/// Deletes a user and everything that belongs to them.
#[derive(Debug)]
pub struct DeleteUser {
    pub user: UserId,
    /// The revision at which the user's password was verified, when the user deletes themself.
    pub expected_revision: Option<i64>,
    pub events: EventContext,
}

/// Creates an active admin.
#[derive(Debug)]
pub struct CreateAdmin {
    pub email: Email,
    pub password: SecretString,
    /// 1 to 150 characters.
    pub first_name: String,
    /// 1 to 150 characters.
    pub last_name: String,
}

messages! {
    Error = AccountError;
    GetUser => Option<User>;
    GetCredentials => Option<Credentials>;
    GetMailContext => Option<MailContext>;
    Register => (), within CHAINED_DEADLINE;
    VerifyEmail => User, within CHAINED_DEADLINE;
    ResendVerificationCode => ();
    RequestPasswordReset => ();
    RenewPasswordHash => ();
    RequestEmailChange => (), within CHAINED_DEADLINE;
    ConfirmEmailChange => User, within CHAINED_DEADLINE;
    UpdateUser => User;
    DeleteUser => (), within CHAINED_DEADLINE;
    CreateAdmin => User, within CHAINED_DEADLINE;
}

messages! {
    Error = PasswordError;
    ResetPassword => (), within CHAINED_DEADLINE;
    ChangePassword => (), within CHAINED_DEADLINE;
}
