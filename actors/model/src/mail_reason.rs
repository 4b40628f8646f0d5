//! Why a mail is queued. A queued mail holds ids, never its text.

#![expect(missing_docs, reason = "a field that is an id is documented by its type")]

use faceofmind_base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ClaimId, Email, LoginId, ReminderId, UserId};

/// Why a mail is queued. The mail queue stores it as JSON, so the names of its variants and fields are part of stored data.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum MailReason {
    /// A client registered with the address of this user.
    Registration {
        /// The user with that address.
        user: UserId,
        /// The pending registration.
        claim: ClaimId,
    },
    /// A client asked to reset the password of this address, which may have no account.
    PasswordReset { email: Email },
    /// The user's password was changed.
    PasswordChanged { user: UserId },
    /// The user logged in on a device that is new to the account.
    NewDevice { user: UserId, login: LoginId },
    /// A reminder is due.
    Reminder { user: UserId, reminder: ReminderId },
    /// The user asked to change the e-mail address. Sent to the new address, with a code.
    AddressClaim {
        user: UserId,
        /// The pending e-mail change.
        claim: ClaimId,
    },
    /// The user asked to change the e-mail address. Sent to the old address.
    AddressChangeAsked {
        user: UserId,
        /// The address at the time of the request.
        old: Email,
    },
    /// The user's e-mail address was changed. Sent to the old address.
    AddressChanged {
        user: UserId,
        /// The address before the change.
        old: Email,
    },
    /// Notices beyond a bound, which wait to be sent as one mail.
    FoldedNotices(FoldedNotices),
}

/// Several notices about the same address and topic, as one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FoldedNotices {
    /// The user with the address.
    pub user: UserId,
    /// The address that the notices are about.
    pub address: Email,
    /// What was tried.
    pub topic: FoldedTopic,
    /// The number of tries.
    pub count: u32,
    /// When the first try was.
    pub first: Timestamp,
    /// When the last try was.
    pub last: Timestamp,
}

/// What folded notices are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoldedTopic {
    /// Registrations of an address that has an account.
    AlreadyRegistered,
    /// Requested changes to an address that has an account.
    AddressTaken,
}

impl FoldedTopic {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "already_registered",
            Self::AddressTaken => "address_taken",
        }
    }
}

impl FoldedNotices {
    /// Returns both as one, or `None` if they are about different things.
    pub fn merge(&self, other: &Self) -> Option<Self> {
        let key = |notices: &Self| (notices.user, notices.address.clone(), notices.topic);
        (key(self) == key(other)).then(|| Self {
            count: self.count.saturating_add(other.count),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            ..self.clone()
        })
    }
}

/// How urgent a mail is, the most urgent first. The mail queue stores the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MailPriority {
    /// A person waits for a code.
    Code = 0,
    /// A notice about the security of an account.
    Notice = 1,
    Reminder = 2,
}

impl MailReason {
    /// Returns how urgent the mail is.
    pub const fn priority(&self) -> MailPriority {
        match self {
            Self::Registration { .. } | Self::PasswordReset { .. } | Self::AddressClaim { .. } => MailPriority::Code,
            Self::PasswordChanged { .. }
            | Self::NewDevice { .. }
            | Self::AddressChangeAsked { .. }
            | Self::AddressChanged { .. }
            | Self::FoldedNotices(_) => MailPriority::Notice,
            Self::Reminder { .. } => MailPriority::Reminder,
        }
    }

    /// Returns the user, where the mail is about a known one.
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::Registration { user, .. }
            | Self::PasswordChanged { user }
            | Self::NewDevice { user, .. }
            | Self::Reminder { user, .. }
            | Self::AddressClaim { user, .. }
            | Self::AddressChangeAsked { user, .. }
            | Self::AddressChanged { user, .. }
            | Self::FoldedNotices(FoldedNotices { user, .. }) => Some(*user),
            Self::PasswordReset { .. } => None,
        }
    }
}
