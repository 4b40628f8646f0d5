//! What we can say by mail.

use std::{fmt, net::IpAddr};

use jiff::{ZonedDateTime, civil::Date};

use faceofmind_model::OtpCode;

/// A letter, before it is put into words. None carries health data, and none can, but in the title that a
/// reader gave to a reminder.
///
/// Names and devices are what somebody typed or sent; they are given here as stored and defused when the letter is
/// rendered ([`super::defuse`]). Times are in the reader's time zone, which the text names.
pub enum Letter {
    /// To an address that somebody claimed by registering: the code that confirms it.
    Welcome {
        /// First and last name as typed by whoever registered, who need not be the reader.
        claim_name: String,
        /// When that was.
        claimed_at: ZonedDateTime,
        /// The code that makes this claim the account's.
        code: OtpCode,
        /// How long the code works, from sending.
        expires_in_minutes: u32,
    },
    /// To the owner of an active account, whose address somebody tried to register again.
    AlreadyRegistered {
        /// The owner's.
        first_name: String,
        /// When that was.
        at: ZonedDateTime,
    },
    /// The code that allows a new password.
    ResetCode {
        /// The account's.
        first_name: String,
        /// The code.
        code: OtpCode,
        /// How long the code works, from sending.
        expires_in_minutes: u32,
    },
    /// The password was changed, or set anew after a reset.
    PasswordChanged {
        /// The account's.
        first_name: String,
        /// When that was.
        at: ZonedDateTime,
    },
    /// Somebody logged in from a device that never did before.
    NewDevice {
        /// The account's.
        first_name: String,
        /// What the device says of itself.
        device: String,
        /// Where the request came from, if that is known.
        address: Option<IpAddr>,
        /// When that was.
        at: ZonedDateTime,
    },
    /// What somebody wanted to be reminded of is due.
    Reminder {
        /// The account's.
        first_name: String,
        /// What the reader called it. No more of it is mailed, and this not in the subject, which lock screens show.
        title: String,
        /// The day it is for.
        date: Date,
    },
    /// To an address that somebody wants to move their account to: the code that confirms it.
    AddressCode {
        /// First and last name of the account, whose owner need not be the reader.
        claim_name: String,
        /// When they asked.
        claimed_at: ZonedDateTime,
        /// The code that moves the account.
        code: OtpCode,
        /// How long the code works, from sending.
        expires_in_minutes: u32,
    },
    /// To the owner of an account, to whose address somebody wants to move another.
    AddressTaken {
        /// The owner's.
        first_name: String,
        /// When that was.
        at: ZonedDateTime,
    },
    /// To the address that an account has: it is asked to be moved. Where to is not told.
    AddressChangeAsked {
        /// The account's.
        first_name: String,
        /// When that was.
        at: ZonedDateTime,
    },
    /// To the address that an account had: it was moved. Where to is not told.
    AddressChanged {
        /// The account's.
        first_name: String,
        /// When that was.
        at: ZonedDateTime,
    },
}

impl Letter {
    /// The letter's name: that of its templates, and what logs may say of it.
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

impl fmt::Debug for Letter {
    /// The name alone: what a letter says belongs in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
