//! What a mail says and to whom. Decided when it is about to be sent; until then a mail job holds only its reason.

use faceofmind_base::Timestamp;
use faceofmind_model::{ClaimId, Email, FoldedNotices, LoginId, ReminderId, Status, User, UserId};

use super::pending_registrations::PendingRegistration;

/// The recipient and the topic of a mail.
#[derive(Clone, Debug)]
pub struct MailContext {
    /// The user whose account the mail is about.
    pub user: UserId,
    pub to: Email,
    pub first_name: String,
    /// IANA name, if set.
    pub time_zone: Option<String>,
    /// BCP 47 tag, if known.
    pub language: Option<String>,
    pub topic: MailTopic,
}

/// What a mail is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailTopic {
    /// A registration of this address; a code verifies it.
    Claim {
        claim: ClaimId,
        /// First and last name as registered.
        name: String,
        /// When it was registered.
        at: Timestamp,
        /// Whether the address has other pending registrations, perhaps of other people.
        has_others: bool,
    },
    /// A registration of an address that has an account.
    AlreadyRegistered {
        /// Whether the registration is stored. Beyond a bound it is not, or another has replaced it: then no code is issued for it, as for a
        /// new address.
        is_stored: bool,
    },
    /// A requested password reset; a code allows it.
    Reset,
    PasswordChanged,
    NewDevice(LoginId),
    Reminder(ReminderId),
    /// A requested change to this address; a code verifies it.
    AddressClaim {
        claim: ClaimId,
        /// The user's first and last name.
        name: String,
    },
    /// A requested change to an address that has an account.
    AddressTaken,
    /// A requested change, for the old address.
    AddressChangeAsked,
    AddressChanged,
    /// Notices that had to wait.
    Folded(FoldedNotices),
}

impl MailContext {
    /// A pending registration can be verified while the account is inactive. Its mail is in the language of the client that registered.
    pub(super) fn about(claim: PendingRegistration, user: User) -> Self {
        if user.status != Status::Inactive {
            return Self::to(user, MailTopic::AlreadyRegistered { is_stored: true });
        }
        let name = format!("{} {}", claim.first_name, claim.last_name);
        let language = claim.language.or_else(|| user.language.clone());
        let topic = MailTopic::Claim { claim: claim.id, name, at: claim.created_at, has_others: claim.has_others };
        Self { language, ..Self::to(user, topic) }
    }

    pub(super) fn to(user: User, topic: MailTopic) -> Self {
        let User { id, email: to, first_name, time_zone, language, .. } = user;
        Self { user: id, to, first_name, time_zone, language, topic }
    }

    /// Sends the mail to another address of the user.
    pub(super) fn at(self, address: &Email) -> Self {
        Self { to: address.clone(), ..self }
    }
}
