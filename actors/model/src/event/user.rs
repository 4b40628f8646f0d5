//! Events about a user's account.

#![expect(missing_docs, reason = "a field that is an id is documented by its type")]

use schemars::JsonSchema;
use serde::Serialize;

use super::DomainEvent;
use crate::{Role, Status, UserId};

/// What happened to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum UserEvent {
    /// A client registered a new address, which is not verified yet.
    #[serde(rename = "faceofmind.v1.user.registered")]
    Registered { user_id: UserId },
    /// The user's address was verified.
    #[serde(rename = "faceofmind.v1.user.verified")]
    Verified { user_id: UserId },
    /// The user's names, settings or role were changed. The event holds the role.
    #[serde(rename = "faceofmind.v1.user.updated")]
    Updated {
        user_id: UserId,
        /// The role after the change.
        role: Role,
    },
    /// The user's status was changed: it says whether the user may log in.
    #[serde(rename = "faceofmind.v1.user.status_changed")]
    StatusChanged {
        user_id: UserId,
        /// The status after the change.
        status: Status,
    },
    /// The user's password was changed.
    #[serde(rename = "faceofmind.v1.user.password_changed")]
    PasswordChanged { user_id: UserId },
    /// The user's e-mail address was changed to another verified one.
    #[serde(rename = "faceofmind.v1.user.email_changed")]
    EmailChanged { user_id: UserId },
    /// The user and all of their data were deleted. Consumers delete what they hold of the user.
    #[serde(rename = "faceofmind.v1.user.deleted")]
    Deleted { user_id: UserId },
}

impl DomainEvent for UserEvent {
    fn user_id(&self) -> UserId {
        match *self {
            Self::Registered { user_id }
            | Self::Verified { user_id }
            | Self::Updated { user_id, .. }
            | Self::StatusChanged { user_id, .. }
            | Self::PasswordChanged { user_id }
            | Self::EmailChanged { user_id }
            | Self::Deleted { user_id } => user_id,
        }
    }

    fn aggregate(&self) -> String {
        format!("user/{}", self.user_id())
    }
}
