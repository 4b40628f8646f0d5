//! From an intent to a mail that is sent: what to say is decided here and now.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use faceofmind_kit::{Backoff, Clock, Database, Failure, Rng, Timestamp};
use jiff::{ZonedDateTime, tz::TimeZone};
use serde_json::{Value, json};

use super::{
    Envelope, Language, Letter, Renderer, SendError, Transport,
    intents::{self, Intent},
};
use crate::{
    logins::Logins,
    otp::{Mint, Minted, Otp, Purpose},
    reminders::Reminders,
    user_registry::{ClaimId, Draft, Subject, UserRegistry},
};

const BACKOFF: Backoff = Backoff { first: Duration::from_secs(4), longest: Duration::from_secs(3600) };

/// After so many failures an intent is dead: in three to six hours, as chance spreads the tries.
const ATTEMPTS: u32 = 16;

/// What mails are made with.
pub struct Desk {
    /// Keeps the queue.
    pub db: Database,
    /// Knows whom to write to, and what about.
    pub registry: UserRegistry,
    /// Knows the devices.
    pub logins: Logins,
    /// Mints the codes.
    pub otp: Otp,
    /// Knows what people want to be reminded of.
    pub reminders: Reminders,
    /// Writes.
    pub renderer: Renderer,
    /// The zone of readers who have set none.
    pub time_zone: TimeZone,
    /// Dates the mails.
    pub clock: Clock,
    /// Spreads the tries.
    pub rng: Rng,
}

/// The desk, the way out, and what became of the mails since the program started; it outlives the actor.
pub(super) struct Dispatch {
    desk: Desk,
    transport: Arc<Transport>,
    settled: AtomicU64,
    put_back: AtomicU64,
    buried: AtomicU64,
}

impl Deref for Dispatch {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.desk
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// Why a mail did not leave.
enum Undelivered {
    /// Worth another try.
    Later(String),
    /// Never.
    Never(String),
}

impl From<Failure> for Undelivered {
    fn from(failure: Failure) -> Self {
        Self::Later(failure.to_string())
    }
}

impl Dispatch {
    pub(super) fn new(desk: Desk, transport: Arc<Transport>) -> Self {
        let [settled, put_back, buried] = Default::default();
        Self { desk, transport, settled, put_back, buried }
    }

    pub(super) fn counted(&self) -> Value {
        let so_far = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({ "settled": so_far(&self.settled), "put_back": so_far(&self.put_back), "buried": so_far(&self.buried) })
    }

    /// What is due, at most `most`.
    pub(super) async fn take(&self, most: usize) -> Vec<Intent> {
        let taken = intents::take(&self.db, most, self.clock.now()).await;
        taken.unwrap_or_else(|failure| {
            tracing::warn!(%failure, "the mail queue could not be read");
            Vec::new()
        })
    }

    /// Sends what the intent calls for, and settles it in the queue. What cannot be settled is taken again when it is held no longer.
    pub(super) async fn deliver(&self, intent: Intent) {
        let attempted = if intent.attempts > ATTEMPTS { Err(given_up()) } else { self.attempt(&intent).await };
        if let Err(failure) = self.settle(&intent, attempted).await {
            tracing::warn!(%failure, mail = %intent.id, "a mail could not be settled in the queue: it will be tried again");
        }
    }

    async fn settle(&self, intent: &Intent, attempted: Result<(), Undelivered>) -> Result<(), Failure> {
        let now = self.clock.now();
        let counter = match attempted {
            Ok(()) => {
                intents::settle(&self.db, intent).await?;
                &self.settled
            }
            Err(Undelivered::Later(reason)) if intent.attempts < ATTEMPTS => {
                let wait = BACKOFF.after(intent.attempts, &self.rng);
                tracing::warn!(mail = %intent.id, reason, wait_s = wait.as_secs(), "a mail did not leave: to be tried again");
                intents::put_back(&self.db, intent, now + wait, &reason).await?;
                &self.put_back
            }
            Err(Undelivered::Later(reason) | Undelivered::Never(reason)) => {
                tracing::error!(mail = %intent.id, reason, "a mail cannot be sent: dead letter");
                intents::bury(&self.db, intent, now, &reason).await?;
                &self.buried
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn attempt(&self, intent: &Intent) -> Result<(), Undelivered> {
        let Some(occasion) = &intent.occasion else { return Err(unreadable()) };
        let Some(draft) = self.registry.draft(occasion).await? else { return Ok(()) };
        let Some(letter) = self.letter(intent, &draft).await? else { return Ok(()) };
        let language = draft.language.as_deref().map(Language::nearest).unwrap_or_default();
        let (id, user, to) = (intent.id, draft.user, draft.to.as_str());
        let envelope = Envelope { id, user, to, date: self.clock.now(), language };
        let mail = self.renderer.render(&letter, envelope).map_err(|error| Undelivered::Never(error.to_string()))?;
        self.transport.send(&mail).await.map_err(|error| match error {
            SendError::Transient(reason) => Undelivered::Later(reason.to_string()),
            SendError::Permanent(reason) => Undelivered::Never(reason.to_string()),
        })?;
        tracing::info!(mail = %intent.id, letter = letter.name(), "sent");
        Ok(())
    }
}

impl Desk {
    /// What to say; nothing when the code that it would carry is beyond the budget, or what it tells of is gone. The owner of an account
    /// is not flooded either when others register its address or ask to move to it: that counts as a code, though none is told.
    async fn letter(&self, intent: &Intent, draft: &Draft) -> Result<Option<Letter>, Failure> {
        let first_name = draft.first_name.clone();
        let zoned = |moment: Timestamp| self.zoned(moment, draft);
        let at = zoned(intent.created_at);
        Ok(match &draft.subject {
            Subject::Claim { claim, name, at } => {
                let minted = self.mint(intent, draft, Purpose::Verification, Some(*claim)).await?;
                minted.map(|minted| Letter::Welcome {
                    claim_name: name.clone(),
                    claimed_at: zoned(*at),
                    expires_in_minutes: minutes(&minted),
                    code: minted.code,
                })
            }
            Subject::Reset => {
                let minted = self.mint(intent, draft, Purpose::PasswordReset, None).await?;
                minted.map(|minted| Letter::ResetCode {
                    first_name,
                    expires_in_minutes: minutes(&minted),
                    code: minted.code,
                })
            }
            Subject::AlreadyRegistered => {
                let within_budget = self.mint(intent, draft, Purpose::Verification, None).await?;
                within_budget.map(|_nobody_is_told| Letter::AlreadyRegistered { first_name, at })
            }
            Subject::PasswordChanged => Some(Letter::PasswordChanged { first_name, at }),
            Subject::NewDevice(login) => self.logins.find(*login).await?.map(|login| Letter::NewDevice {
                first_name,
                at: zoned(login.created_at),
                address: login.address.parse().ok(),
                device: login.device,
            }),
            Subject::Reminder(reminder) => self.reminders.told(*reminder).await?.map(|reminder| Letter::Reminder {
                first_name,
                title: reminder.title,
                date: reminder.reminder_time.0,
            }),
            Subject::AddressClaim { claim, name } => {
                let minted = self.mint(intent, draft, Purpose::EmailChange, Some(*claim)).await?;
                minted.map(|minted| Letter::AddressCode {
                    claim_name: name.clone(),
                    claimed_at: at,
                    expires_in_minutes: minutes(&minted),
                    code: minted.code,
                })
            }
            Subject::AddressTaken => {
                let within_budget = self.mint(intent, draft, Purpose::EmailChange, None).await?;
                within_budget.map(|_nobody_is_told| Letter::AddressTaken { first_name, at })
            }
            Subject::AddressChangeAsked => Some(Letter::AddressChangeAsked { first_name, at }),
            Subject::AddressChanged => Some(Letter::AddressChanged { first_name, at }),
        })
    }

    async fn mint(
        &self,
        intent: &Intent,
        draft: &Draft,
        purpose: Purpose,
        claim: Option<ClaimId>,
    ) -> Result<Option<Minted>, Failure> {
        let (address, client) = (draft.to.clone(), intent.client.clone());
        self.otp.mint(Mint { purpose, address, claim, intent: intent.id, client }).await
    }

    fn zoned(&self, moment: Timestamp, draft: &Draft) -> ZonedDateTime {
        let own = draft.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok());
        moment.to_jiff().to_zoned_datetime(own.unwrap_or_else(|| self.time_zone.clone()))
    }
}

fn unreadable() -> Undelivered {
    Undelivered::Never("the queue does not say why: it was written by another version".to_owned())
}

/// Each attempt before ended with the process, or the actor, that made it.
fn given_up() -> Undelivered {
    Undelivered::Never("it was begun too often and never ended".to_owned())
}

fn minutes(minted: &Minted) -> u32 {
    u32::try_from(minted.expires_in.as_secs() / 60).unwrap_or(u32::MAX)
}
