//! The actor: what waits, what is in flight, and what is read beside it.

use std::{sync::Arc, time::Duration};

use faceofmind_db::MAX_ROWS;
use faceofmind_runtime::legacy::{Actor, Address, Errands, Failure, Permit};
use faceofmind_runtime::{Batch, FlushId};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{
    Message, Read, Settings, charts,
    desk::{Desk, Means, Write},
    history, reading,
    recording::Call,
    window::{Days, Window},
};
use faceofmind_platform::idempotency;

const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// Keeps the batch and begins everything else.
pub(super) struct Room {
    batch: Batch<Write>,
    last_batch: usize,
    largest_history: usize,
    errands: Errands,
    desk: Arc<Desk>,
    /// What never ends by itself: apart from the errands, which a stop waits for.
    _ticks: Errands,
}

impl Room {
    pub(super) fn new(settings: Settings, means: Means, address: Address<Message>) -> Self {
        let largest_batch = settings.largest_batch.clamp(1, MAX_ROWS);
        let mut ticks = Errands::default();
        ticks.run(sweep(means.clone()));
        Self {
            batch: Batch::new(largest_batch, move |flight| address.tell(Message::Landed(flight))),
            last_batch: 0,
            largest_history: settings.largest_history,
            errands: Errands::default(),
            desk: Arc::new(Desk::new(means)),
            _ticks: ticks,
        }
    }

    fn flush(&mut self) {
        let Some((batch, flight)) = self.batch.start_flush() else { return };
        self.last_batch = batch.len();
        let desk = Arc::clone(&self.desk);
        self.errands.run(async move {
            desk.write(batch).await;
            drop(flight);
        });
    }

    fn land(&mut self, flight: FlushId) {
        self.batch.finish_flush(flight);
        self.flush();
    }

    fn read(&mut self, read: Read, permit: Permit) {
        let Means { db, keyring, clock, .. } = self.desk.means.clone();
        match read {
            Read::Answered(key, reply) => {
                self.errands.answer(
                    reply,
                    permit,
                    async move { reading::answered(&db, &keyring, &key, clock.now()).await },
                );
            }
            Read::Get(user, id, reply) => {
                self.errands.answer(reply, permit, async move { reading::get(&db, user, id).await });
            }
            Read::Count(user, reply) => {
                self.errands.answer(reply, permit, async move { reading::count(&db, user).await });
            }
            Read::List { user, skip, limit, reply } => {
                self.errands.answer(reply, permit, async move { reading::list(&db, user, skip, limit).await });
            }
            Read::History(user, id, reply) => {
                let largest = self.largest_history;
                let read = async move { history::read(&db, &keyring, (user, id), largest).await };
                self.errands.answer(reply, permit, read);
            }
            Read::Days { user, window, zone, reply } => {
                let days = self.days(window, zone);
                self.errands.answer(reply, permit, async move { Ok(charts::days(&db, user, days).await?) });
            }
            Read::Diagnosis { user, window, zone, reply } => {
                let days = self.days(window, zone);
                let read = async move { Ok(charts::diagnosis(&db, user, window, days).await?) };
                self.errands.answer(reply, permit, read);
            }
        }
    }

    fn days(&self, window: Window, zone: Option<TimeZone>) -> Days {
        let Means { clock, time_zone, .. } = &self.desk.means;
        window.days(clock.now(), zone.as_ref().unwrap_or(time_zone))
    }
}

/// Who claims keys sweeps them: at once and every now and then.
async fn sweep(means: Means) {
    loop {
        if let Err(failure) = sweep_keys(&means).await {
            tracing::warn!(%failure, "old idempotency keys were not swept");
        }
        tokio::time::sleep(means.rng.jitter(SWEEP_EVERY)).await;
    }
}

async fn sweep_keys(means: &Means) -> Result<(), Failure> {
    loop {
        let mut tx = means.db.begin().await?;
        let swept = idempotency::sweep(&mut tx, means.clock.now()).await?;
        tx.commit().await?;
        if swept == 0 {
            return Ok(());
        }
    }
}

impl Actor for Room {
    type Message = Message;

    async fn receive(&mut self, message: Message, permit: Permit) {
        match message {
            Message::Write { call: Call { user, origin, key }, change, reply } => {
                let rows = change.rows();
                self.batch.push_weighted(Write { user, change: *change, origin, key, reply, permit }, rows);
                self.flush();
            }
            Message::Read(read) => self.read(read, permit),
            Message::Landed(flight) => self.land(flight),
        }
    }

    /// Whatever waits is written; `Landed` no longer reaches an actor that stops.
    async fn stop(&mut self) {
        while self.errands.under_way() + self.batch.pending() > 0 {
            self.errands.finish().await;
            self.batch.reset();
            self.flush();
        }
    }

    fn observe(&self) -> Value {
        json!({ "waiting": self.batch.pending(), "in_flight": usize::from(self.batch.is_in_flight()) * self.last_batch, "last_batch": self.last_batch,
                "panicked": self.errands.panicked(), "writes": self.desk.counters() })
    }
}
