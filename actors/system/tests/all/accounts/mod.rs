//! What may become of an account.

use std::time::Duration;

use faceofmind_db::{Database, StoreError, Tx, with_conn};
use faceofmind_domain::{
    accounts::{
        self, AccountError, ChangePassword, ConfirmEmailChange, CreateAdmin, Credentials, DeleteUser, GetCredentials,
        GetMailContext, GetUser, ListUsers, PasswordError, Register, RenewPasswordHash, RequestEmailChange,
        RequestPasswordReset, ResendVerificationCode, ResetPassword, UpdateUser,
    },
    logins::{LoginError, TokenPair},
    sessions::{CommandContext, StartSession},
};
use faceofmind_model::{
    ClaimId, MailReason, RequestContext, Role, Status, User, UserChange, UserId,
    event::{EventContext, Initiator},
};
use faceofmind_platform::idempotency::StoredResponse;
use faceofmind_runtime::{ActorState, AskError};
use faceofmind_testing::user as insert_user;
use secrecy::SecretString;

use crate::support::{PASSWORD, Received, TestContext, client, contexts, email, secret, until, verify_email};

mod changes;
mod concurrency;
mod email_change;
mod erasure;
mod listing;
mod passwords;
mod pending_registrations;
mod sweeping;

const ADA: &str = "ada@example.org";

fn by_admin() -> EventContext {
    EventContext::new(Initiator::Admin(UserId(1)))
}

fn update(user: UserId, change: UserChange) -> UpdateUser {
    UpdateUser { user, change, require_user_role: false, events: by_admin() }
}

fn delete(user: UserId) -> DeleteUser {
    DeleteUser { user, expected_revision: None, events: by_admin() }
}

fn start_session(user: UserId) -> StartSession {
    StartSession {
        context: CommandContext { user, event: by_admin(), key: None },
        respond: |_| StoredResponse { status: 201, body: String::new() },
    }
}

fn first_name(name: &str) -> UserChange {
    UserChange { first_name: Some(name.into()), ..UserChange::default() }
}

impl TestContext {
    async fn change(&self, user: UserId, change: UserChange) -> Result<User, AccountError> {
        self.system.modules.accounts.ask(update(user, change)).await
    }

    async fn set_status(&self, user: UserId, status: Status) -> Result<User, AccountError> {
        self.change(user, UserChange::status(status)).await
    }

    async fn request_reset(&self, address: &str, from: &str) {
        let request = RequestPasswordReset { email: email(address), context: client(from) };
        self.system.modules.accounts.ask(request).await.expect("is accepted");
    }

    async fn id_of(&self, address: &str) -> UserId {
        self.credentials(address).await.user.id
    }

    async fn credentials(&self, address: &str) -> Credentials {
        let credentials = self.system.modules.accounts.ask(GetCredentials { email: email(address) }).await;
        credentials.expect("reads").expect("there is an account")
    }
}

/// Locks the user's row, as a change in progress does.
async fn lock(tx: &mut Tx, user: UserId) {
    let lock = "UPDATE users SET email = email WHERE id = $1";
    with_conn!(tx.connection(), c => sqlx::query(lock).bind(user).execute(c).await.map(drop)).expect("locks");
}
