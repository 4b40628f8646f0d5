//! The handlers of queries.

use std::sync::Arc;

use faceofmind_model::UserId;
use faceofmind_platform::caller;
use faceofmind_runtime::{Handler, Message, ReplyTo};
use jiff::tz::TimeZone;
use tracing::Instrument as _;

use super::SessionTracker;
use crate::sessions::{
    charts, history,
    messages::{CountSessions, Diagnose, GetDayStats, GetHistory, GetSession, ListSessions},
    queries,
    session_reads::{self, ReadsAnswered},
    window::{DayRange, Window},
};

impl SessionTracker {
    /// Answers the reads of single sessions that wait, unless a query for earlier ones is in flight.
    pub(super) fn answer_reads(&mut self) {
        if let Some((reads, guard)) = self.session_reads.next() {
            let (deps, span) = (Arc::clone(&self.deps), session_reads::span(&reads));
            let answer = async move {
                session_reads::answer(&deps.db, reads).await;
                drop(guard);
            };
            self.tasks.spawn(answer.instrument(span));
        }
    }

    /// Replies with what a read returns whose size grows with the user's history.
    fn read<M: Message>(
        &mut self,
        user: UserId,
        reply: ReplyTo<M>,
        work: impl Future<Output = Result<M::Output, M::Error>> + Send + 'static,
    ) {
        self.tasks.spawn_behind((&self.deps.reads, caller::user(user)), reply, work);
    }

    fn days(&self, window: Window, zone: Option<&TimeZone>) -> DayRange {
        window.days(self.deps.clock.now(), zone.unwrap_or(&self.deps.time_zone))
    }
}

impl Handler<GetSession> for SessionTracker {
    fn handle(&mut self, message: GetSession, reply: ReplyTo<GetSession>) {
        self.session_reads.push(message, reply);
        self.answer_reads();
    }
}

impl Handler<ReadsAnswered> for SessionTracker {
    fn handle(&mut self, ReadsAnswered(query): ReadsAnswered, _: ReplyTo<ReadsAnswered>) {
        self.session_reads.finish(query);
        self.answer_reads();
    }
}

impl Handler<CountSessions> for SessionTracker {
    fn handle(&mut self, CountSessions { user }: CountSessions, reply: ReplyTo<CountSessions>) {
        let deps = Arc::clone(&self.deps);
        self.read(user, reply, async move { Ok(queries::count(&deps.db, user).await?) });
    }
}

impl Handler<ListSessions> for SessionTracker {
    fn handle(&mut self, ListSessions(page): ListSessions, reply: ReplyTo<ListSessions>) {
        let deps = Arc::clone(&self.deps);
        self.read(page.reader, reply, async move { Ok(queries::list(&deps.db, page).await?) });
    }
}

impl Handler<GetHistory> for SessionTracker {
    fn handle(&mut self, GetHistory { user, session, after }: GetHistory, reply: ReplyTo<GetHistory>) {
        let deps = Arc::clone(&self.deps);
        let read = async move { history::read(&deps.db, &deps.keyring, (user, session), after).await };
        self.read(user, reply, read);
    }
}

impl Handler<GetDayStats> for SessionTracker {
    fn handle(&mut self, GetDayStats { user, window, zone }: GetDayStats, reply: ReplyTo<GetDayStats>) {
        let (deps, days) = (Arc::clone(&self.deps), self.days(window, zone.as_ref()));
        self.read(user, reply, async move { Ok(charts::day_stats(&deps.db, user, days).await?) });
    }
}

impl Handler<Diagnose> for SessionTracker {
    fn handle(&mut self, Diagnose { user, window, zone }: Diagnose, reply: ReplyTo<Diagnose>) {
        let (deps, days) = (Arc::clone(&self.deps), self.days(window, zone.as_ref()));
        self.read(user, reply, async move { Ok(charts::diagnosis(&deps.db, user, window, days).await?) });
    }
}
