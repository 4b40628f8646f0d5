//! A feed: what was published, from a position on, without a gap and without a repetition, for as long as somebody listens.
//!
//! It listens to the bus before it reads the outbox, and leaves out what it has already given. Who falls too far behind the bus goes back
//! to the outbox, where everything stays for the retention time. Who is too slow even for that is told what is missing.

use std::{collections::VecDeque, sync::Arc};

use faceofmind_db::Database;
use faceofmind_runtime::legacy::Failure;
use tokio::sync::broadcast::{self, error::RecvError};

use super::{Publisher, seats::Seat, store};
use faceofmind_model::event::PublishedEvent;
use faceofmind_model::user::UserId;

/// Events read from the outbox at once.
const PAGE: usize = 256;

/// Why there is no feed for whoever asks.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// They have as many as one user may have.
    #[error("this user listens as often as one may")]
    TooMany,
    /// As many as may listen to this node do.
    #[error("as many listen as may")]
    Full,
    /// Where to begin cannot be found out.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<faceofmind_db::StoreError> for FeedError {
    fn from(error: faceofmind_db::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// What a feed gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The next event.
    Event(Arc<PublishedEvent>),
    /// What was published after the position `after` and before `from` is not kept any more, or `after` was never given.
    Gap {
        /// The position that was asked for.
        after: i64,
        /// The first from which nothing is missing.
        from: i64,
    },
}

/// What was published, in order. Dropped, it makes room for another.
#[derive(Debug)]
pub struct Feed {
    db: Database,
    bus: broadcast::Receiver<Arc<PublishedEvent>>,
    of: Option<UserId>,
    position: i64,
    gap: Option<Told>,
    read: VecDeque<PublishedEvent>,
    /// Up to here nothing follows what was read.
    read_up_to: i64,
    /// Whether the outbox may hold more than the bus will tell.
    is_behind: bool,
    _seat: Seat,
}

impl Publisher {
    /// What was published after that position, or from now on; of that user's events, or of all. `listener` is who listens, by which feeds
    /// are counted.
    ///
    /// # Errors
    /// [`FeedError`].
    pub async fn feed(&self, listener: UserId, of: Option<UserId>, after: Option<i64>) -> Result<Feed, FeedError> {
        let seat = self.seats.take(listener)?;
        let bus = self.bus.subscribe();
        self.bus.begin(&self.db).await?;
        let (first, last) = store::kept_positions(&self.db).await?;
        let (position, gap) = begin(after, first, last);
        Ok(Feed {
            db: self.db.clone(),
            bus,
            of,
            position,
            gap,
            read: VecDeque::new(),
            read_up_to: position,
            is_behind: after.is_some(),
            _seat: seat,
        })
    }
}

/// After which position to begin, where those from `first` to `last` are kept, and what is missing before.
fn begin(after: Option<i64>, first: i64, last: i64) -> (i64, Option<Told>) {
    match after {
        None => (last, None),
        Some(after) if after > last => (last, Some(Told::Gap { after, from: last + 1 })),
        Some(after) if after + 1 < first => (first - 1, Some(Told::Gap { after, from: first })),
        Some(after) => (after, None),
    }
}

impl Feed {
    /// Where to go on from: all up to here was given, or concerns somebody else.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Waits for what comes next. Nothing is lost when the waiting is given up.
    ///
    /// # Errors
    /// When the outbox cannot be read, or nothing more will come.
    pub async fn next(&mut self) -> Result<Told, Failure> {
        loop {
            if let Some(gap) = self.gap.take() {
                return Ok(gap);
            }
            if let Some(event) = self.read.pop_front() {
                self.position = event.position;
                return Ok(Told::Event(Arc::new(event)));
            }
            self.position = self.position.max(self.read_up_to);
            if self.is_behind {
                self.catch_up().await?;
            } else if let Some(event) = self.hear().await? {
                return Ok(Told::Event(event));
            }
        }
    }

    /// Reads the next page. What may lack events that were swept before it was read is read again, after the gap. The last position is
    /// looked up before the page, which then lacks nothing up to there.
    async fn catch_up(&mut self) -> Result<(), Failure> {
        let published = store::last_position(&self.db).await?;
        let page = store::published_after(&self.db, self.position, self.of, PAGE).await?;
        let (first, last) = store::kept_positions(&self.db).await?;
        (self.position, self.gap) = begin(Some(self.position), first, last);
        if self.gap.is_some() {
            return Ok(());
        }
        self.is_behind = page.len() == PAGE;
        if !self.is_behind {
            self.read_up_to = published;
        }
        self.read.extend(page);
        Ok(())
    }

    /// The next on the bus, unless it was given before or concerns somebody else.
    async fn hear(&mut self) -> Result<Option<Arc<PublishedEvent>>, Failure> {
        match self.bus.recv().await {
            Ok(event) if event.position <= self.position => Ok(None),
            Ok(event) => {
                self.position = event.position;
                Ok(self.of.is_none_or(|user| user == event.user_id).then_some(event))
            }
            Err(RecvError::Lagged(_)) => {
                self.is_behind = true;
                Ok(None)
            }
            Err(RecvError::Closed) => Err(Failure::Unavailable("publisher")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_that_is_not_kept_any_more_is_a_gap() {
        let gap = |after, from| Some(Told::Gap { after, from });
        assert_eq!(begin(None, 5, 9), (9, None));
        assert_eq!(begin(Some(9), 5, 9), (9, None), "nothing new");
        assert_eq!(begin(Some(4), 5, 9), (4, None), "all that follows is there");
        assert_eq!(begin(Some(3), 5, 9), (4, gap(3, 5)));
        assert_eq!(begin(Some(10), 5, 9), (9, gap(10, 10)), "the positions of another database");
        assert_eq!(begin(Some(0), 0, 0), (0, None), "nothing was ever published");
        assert_eq!(begin(Some(i64::MAX), 5, 9), (9, gap(i64::MAX, 10)));
    }
}
