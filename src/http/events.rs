//! `/events`: what happened, as it happens, as server-sent events (the HTML standard, §9.2).

use std::{pin::pin, time::Duration};

use faceofmind_actors::publisher::{Feed, FeedItem};
use salvo::{
    Router, Writer,
    oapi::{RouterExt, ToSchema, endpoint},
};
use serde_json::json;
use tokio::{sync::mpsc, time};

use super::{
    caller::Caller,
    fields::{Fields, FromFields, Read},
    kinds::boolean,
    problem::Problem,
    query::Query,
    shared::Shared,
};
use crate::app::Rooms;

mod stream;

use stream::{EventStream, LastEventId};

/// How often to give a sign of life. It also tells how far the stream has come, so that who resumes asks for no more than they missed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Who has not taken what was sent after this long is cut off; they may resume.
const PATIENCE: Duration = Duration::from_secs(10);
/// Frames that wait for a reader; the rest waits in the outbox.
const WAITING: usize = 1;

/// The calls under `/events`.
pub fn router() -> Router {
    Router::with_path("events").oapi_tag("events").get(events)
}

/// Which events.
#[derive(ToSchema)]
struct Wanted {
    /// Those of all users, which admins may have; one's own unless told.
    #[salvo(schema(value_type = Option<bool>, default = false))]
    all: bool,
}

impl FromFields for Wanted {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let all = fields.or("all", false, boolean());
        fields.finish(|valid| Self { all: all.get(valid) })
    }
}

/// Streams the caller's own events, or for admins all, as they are published.
///
/// Each is `event:` with its type, `data:` with the CloudEvents JSON (see `faceofmind asyncapi`) and `id:` with its position. With that
/// as `Last-Event-ID` a stream goes on after it, without a gap or a repetition, on whichever node. Events are kept for
/// `EVENTS_RETENTION_HOURS`; where what follows is kept no longer, the stream says `event: gap` with `{"after": …, "from": …}`: what was published
/// after the one and before the other is missing, so read anew what you hold. A comment comes every 15 seconds. The stream ends when the
/// log-in does, or its user's role changes, though not with the access token; when the reader is too slow; and when the service stops.
#[endpoint(responses(
    (status_code = 403, description = "All events, and not an admin"),
    (status_code = 429, description = "As many streams as one user may have")
))]
async fn events(
    rooms: Shared<Rooms>,
    caller: Caller,
    query: Query<Wanted>,
    resume: LastEventId,
) -> Result<EventStream, Problem> {
    if query.0.all {
        caller.must_be_admin()?;
    }
    let of = (!query.0.all).then_some(caller.user.id);
    let over = rooms.house().authenticator.watch(caller.login, &caller.user).until_invalid();
    let stopping = rooms.stopping();
    let feed = rooms.events.feed(caller.user.id, of, resume.0).await?;
    let (frames, stream) = EventStream::new(WAITING);
    tokio::spawn(async move {
        tokio::select! {
            () = over => {}
            () = stopping => {}
            () = frames.closed() => {}
            () = flow(feed, &frames, PATIENCE) => {}
        }
    });
    Ok(stream)
}

/// Sends what is told, and now and then a sign of life, until the reader is too slow or the feed fails. The reader may then resume.
async fn flow(mut feed: Feed, frames: &mpsc::Sender<String>, patience: Duration) {
    let mut heartbeat = pin!(time::sleep(Duration::ZERO));
    loop {
        let frame = tokio::select! {
            // A gap is told before any id: who resumed after one would not hear of it.
            biased;
            told = feed.next() => match told {
                Ok(told) => told_in(&told, feed.position()),
                Err(failure) => return tracing::warn!(%failure, "an event stream broke off"),
            },
            () = &mut heartbeat => sign_of_life(feed.position()),
        };
        heartbeat.as_mut().reset(time::Instant::now() + HEARTBEAT);
        if frames.send_timeout(frame, patience).await.is_err() {
            return tracing::debug!("an event stream was not read in time");
        }
    }
}

/// The id stands last: who is cut off within a frame does not resume after it.
fn told_in(told: &FeedItem, position: i64) -> String {
    match told {
        FeedItem::Event(event) => format!("event: {}\ndata: {}\nid: {position}\n\n", event.kind(), event.envelope),
        FeedItem::Gap { after, from } => {
            format!("event: gap\ndata: {}\nid: {position}\n\n", json!({ "after": after, "from": from }))
        }
    }
}

/// A comment, and an id without data: it is remembered, and no event.
fn sign_of_life(position: i64) -> String {
    format!(": still here\nid: {position}\n\n")
}

#[cfg(test)]
mod tests {
    use faceofmind_actors::{
        publisher::{EventBus, Settings},
        schema,
        user_registry::UserId,
    };
    use faceofmind_kit::{Database, db::PoolSettings};

    use super::*;

    /// Opens a feed whose only item is a gap.
    async fn feed(folder: &tempfile::TempDir) -> Feed {
        let db = Database::sqlite(&folder.path().join("faceofmind.db"), PoolSettings::default());
        schema::migrate(&db).await.expect("migrates");
        EventBus::new(&Settings::default(), db).feed(UserId(1), None, Some(5)).await.expect("a feed")
    }

    #[tokio::test]
    async fn who_does_not_read_is_cut_off_and_who_reads_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let patience = Duration::from_millis(20);
        let (frames, _unread) = mpsc::channel(WAITING);
        frames.try_send("not read".to_owned()).expect("there is room for one");
        let unwanted = feed(&folder).await;
        let cut_off = time::timeout(Duration::from_secs(5), flow(unwanted, &frames, patience)).await;
        assert!(cut_off.is_ok(), "whoever does not read is waited for");
        let (frames, mut read) = mpsc::channel(WAITING);
        let wanted = feed(&folder).await;
        tokio::spawn(async move { flow(wanted, &frames, patience).await });
        let gap = told_in(&FeedItem::Gap { after: 5, from: 1 }, 0);
        assert_eq!(read.recv().await, Some(gap));
        assert!(time::timeout(patience * 5, read.recv()).await.is_err(), "it goes on, and has nothing to say");
    }

    #[test]
    fn a_gap_says_what_is_missing() {
        let frame = told_in(&FeedItem::Gap { after: 3, from: 9 }, 8);
        assert_eq!(frame, "event: gap\ndata: {\"after\":3,\"from\":9}\nid: 8\n\n");
    }

    #[test]
    fn a_sign_of_life_is_no_event() {
        assert!(sign_of_life(7).lines().all(|line| !line.starts_with("data") && !line.starts_with("event")));
    }
}
