//! A feed: published events from a position on, without a gap or a repetition.
//!
//! A feed subscribes to the bus, then reads the outbox, and skips what it has already returned. A feed that lags too far behind the bus
//! reads the outbox again, where events stay for the retention time. A feed that is too slow even for that returns a gap.

use std::{collections::VecDeque, sync::Arc};

use faceofmind_db::StoreError;
use faceofmind_model::{UserId, event::PublishedEvent};
use faceofmind_runtime::{AskError, Caller, ConcurrencyPermit};
use tokio::sync::broadcast;

use super::{
    bus::{EventBus, PAGE},
    store::published,
};

/// Why no feed was opened.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// As many feeds are open as may be, of this listener ([`AskError::OverShare`]) or in all.
    #[error(transparent)]
    Limit(#[from] AskError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedItem {
    Event(Arc<PublishedEvent>),
    /// Events after the position `after` and before `from` are no longer kept, or the position `after` does not exist.
    Gap {
        after: i64,
        from: i64,
    },
}

/// An open feed. It counts against the limits until it is dropped.
#[derive(Debug)]
pub struct Feed {
    /// Keeps the bus open for `receiver`.
    bus: EventBus,
    receiver: broadcast::Receiver<Arc<PublishedEvent>>,
    user: Option<UserId>,
    position: i64,
    gap: Option<FeedItem>,
    page: VecDeque<PublishedEvent>,
    /// The outbox was read up to here.
    scanned_to: i64,
    /// Whether the outbox may hold events that the bus will not send.
    needs_catch_up: bool,
    _permit: ConcurrencyPermit,
}

impl EventBus {
    /// Opens a feed of the events after that position, or from now on; those about `user`, or all. The feed counts against the limit of
    /// `listener`.
    pub async fn feed(&self, listener: Caller, user: Option<UserId>, after: Option<i64>) -> Result<Feed, FeedError> {
        let permit = self.limit.acquire(listener)?;
        let receiver = self.subscribe();
        self.init().await?;
        let (first, last) = published::kept_positions(&self.db).await?;
        let (position, gap) = start(after, first, last);
        Ok(Feed {
            bus: self.clone(),
            receiver,
            user,
            position,
            gap,
            page: VecDeque::new(),
            scanned_to: position,
            needs_catch_up: after.is_some(),
            _permit: permit,
        })
    }
}

/// Returns the position after which to start, and the gap before it, when the outbox holds the positions from `first` to `last`.
fn start(after: Option<i64>, first: i64, last: i64) -> (i64, Option<FeedItem>) {
    match after {
        None => (last, None),
        Some(after) if after > last => (last, Some(FeedItem::Gap { after, from: last + 1 })),
        Some(after) if after + 1 < first => (first - 1, Some(FeedItem::Gap { after, from: first })),
        Some(after) => (after, None),
    }
}

impl Feed {
    /// The position to resume after: this feed has returned all of its events up to here.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Waits for the next item. Cancelling the wait loses nothing.
    pub async fn next(&mut self) -> Result<FeedItem, StoreError> {
        loop {
            if let Some(gap) = self.gap.take() {
                return Ok(gap);
            }
            if let Some(event) = self.page.pop_front() {
                self.position = event.position;
                return Ok(FeedItem::Event(Arc::new(event)));
            }
            self.position = self.position.max(self.scanned_to);
            if self.needs_catch_up {
                self.catch_up().await?;
            } else if let Some(event) = self.recv().await {
                return Ok(FeedItem::Event(event));
            }
        }
    }

    /// Reads the next page. The last position is read before the page, so the page lacks nothing up to there. The kept positions are read
    /// after it: if a sweep has deleted events that the page may lack, the gap comes first, and the page is read again.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        let db = &self.bus.db;
        let last_published = published::last_position(db).await?;
        let page = published::after(db, self.position, self.user, PAGE).await?;
        let (first, last) = published::kept_positions(db).await?;
        (self.position, self.gap) = start(Some(self.position), first, last);
        if self.gap.is_some() {
            return Ok(());
        }
        self.needs_catch_up = page.more;
        self.scanned_to = if page.more { page.last } else { last_published };
        self.page.extend(page.events);
        Ok(())
    }

    /// Returns the next event of the bus, or `None` when it was returned before, is about another user, or is missing.
    async fn recv(&mut self) -> Option<Arc<PublishedEvent>> {
        // The bus is open, so the only error is a lag.
        let Ok(event) = self.receiver.recv().await else {
            self.needs_catch_up = true;
            return None;
        };
        if event.position <= self.position {
            return None;
        }
        self.position = event.position;
        self.user.is_none_or(|user| user == event.user_id).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_that_is_no_longer_kept_is_a_gap() {
        let gap = |after, from| Some(FeedItem::Gap { after, from });
        assert_eq!(start(None, 5, 9), (9, None));
        assert_eq!(start(Some(9), 5, 9), (9, None), "nothing new");
        assert_eq!(start(Some(4), 5, 9), (4, None), "all that follows is kept");
        assert_eq!(start(Some(3), 5, 9), (4, gap(3, 5)));
        assert_eq!(start(Some(10), 5, 9), (9, gap(10, 10)), "the positions of another database");
        assert_eq!(start(Some(0), 0, 0), (0, None), "nothing was ever published");
        assert_eq!(start(Some(i64::MAX), 5, 9), (9, gap(i64::MAX, 10)));
    }
}
