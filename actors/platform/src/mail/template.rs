//! What the program can say by mail.

use std::{fmt, net::IpAddr};

use faceofmind_model::{LinkToken, OtpCode};
use jiff::{ZonedDateTime, civil::Date};

/// A mail's contents before rendering. None can hold health data, except in the title that a user gave to a reminder.
///
/// Names and devices are as stored, and sanitized when rendered ([`super::sanitize`]), or left out. Times are in the recipient's time zone, which the
/// text names.
pub enum MailTemplate {
    /// To a registered address: the code that verifies it.
    Welcome {
        /// First and last name as registered, perhaps not by the recipient.
        claim_name: String,
        claimed_at: ZonedDateTime,
        /// The network of the client that caused the mail, as rate limits name it, by which its owner tells it from the mail of another
        /// registration. Empty if unknown, or if there is no other.
        network: String,
        /// Whether the address has other pending registrations, whose mails must not be taken for this one.
        has_others: bool,
        /// Verifies this registration and no other.
        code: OtpCode,
        /// Does the same where codes may not be entered.
        link: Option<LinkToken>,
        expires_in_minutes: u32,
    },
    /// To the owner of an active account whose address was registered again: several times where the notices had to wait.
    AlreadyRegistered { first_name: String, tries: Tries },
    /// The code that allows a new password.
    ResetCode { first_name: String, code: OtpCode, link: Option<LinkToken>, expires_in_minutes: u32 },
    /// The password was changed, or set after a reset.
    PasswordChanged { first_name: String, at: ZonedDateTime },
    /// Logins from devices that are new to the account: several where their notices had to wait.
    NewDevice {
        first_name: String,
        /// The first of them.
        logins: Vec<DeviceLogin>,
        /// The number of the others.
        more: usize,
    },
    /// A reminder is due.
    Reminder {
        first_name: String,
        /// As the user wrote it. It is not in the subject, because lock screens show that.
        title: String,
        date: Date,
    },
    /// To the address that an account is to change to: the code that verifies it.
    AddressCode {
        /// First and last name of the account's owner, who need not be the recipient.
        claim_name: String,
        claimed_at: ZonedDateTime,
        code: OtpCode,
        expires_in_minutes: u32,
    },
    /// To the owner of an account whose address other accounts are to change to: several requests where the notices had to wait.
    AddressTaken { first_name: String, tries: Tries },
    /// To the current address: a change is requested. The new address is not named.
    AddressChangeAsked { first_name: String, at: ZonedDateTime },
    /// To the previous address: it was changed. The new address is not named.
    AddressChanged { first_name: String, at: ZonedDateTime },
}

/// A login, for [`MailTemplate::NewDevice`].
pub struct DeviceLogin {
    /// As the device names itself.
    pub device: String,
    /// The client IP, if known.
    pub address: Option<IpAddr>,
    pub at: ZonedDateTime,
}

/// What was tried with an address, for [`MailTemplate::AlreadyRegistered`] and [`MailTemplate::AddressTaken`].
#[derive(Clone)]
pub struct Tries {
    pub count: u32,
    pub first: ZonedDateTime,
    /// Equal to the first if there is one.
    pub last: ZonedDateTime,
}

impl MailTemplate {
    /// The name of the template's files, and what logs may say of the mail.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Welcome { .. } => "welcome",
            Self::AlreadyRegistered { .. } => "already_registered",
            Self::ResetCode { .. } => "reset_code",
            Self::PasswordChanged { .. } => "password_changed",
            Self::NewDevice { .. } => "new_device",
            Self::Reminder { .. } => "reminder",
            Self::AddressCode { .. } => "address_code",
            Self::AddressTaken { .. } => "address_taken",
            Self::AddressChangeAsked { .. } => "address_change_asked",
            Self::AddressChanged { .. } => "address_changed",
        }
    }
}

impl fmt::Debug for MailTemplate {
    /// The name alone, so that no log holds what a mail says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
