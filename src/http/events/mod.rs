//! `/events`: events as they are published, as server-sent events (HTML standard, §9.2).

use std::{pin::pin, time::Duration};

use faceofmind_platform::{
    caller::user as share_of,
    outbox::{Feed, FeedItem},
};
use salvo::{
    Request, Router, Writer,
    http::Method,
    oapi::{RouterExt, endpoint},
};
use serde_json::json;
use tokio::{sync::mpsc, time};

use crate::http::{
    caller::Caller,
    fields::request,
    header::Header,
    problem::Problem,
    query::Query,
    state::{AppState, State},
    validators::Flag,
};

mod stream;

use stream::{EventStream, LastEventId};

/// How often a silent stream sends a comment. Its id is the position up to which the feed was read, so that a client
/// that resumes does not start further back.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a frame waits for a slow client. Then the stream ends, and the client may resume.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How many frames are buffered for a client. Further events wait in the outbox.
const FRAME_BUFFER: usize = 1;

/// The routes under `/events`.
pub fn router() -> Router {
    Router::with_path("events").oapi_tag("events").get(events)
}

request! {
    /// Which events to stream.
    struct EventStreamQuery {
        /// Whether to stream the events of all users, which only admins may do. By default the caller's own.
        all: Flag,
    }
}

/// Streams events as they are published: the caller's own, or for admins all.
///
/// Each has `event:` with its type, `data:` with the CloudEvents JSON (see `faceofmind asyncapi`) and `id:` with its
/// position. With the id as `Last-Event-ID` a new stream continues after it, on any node, without a gap or a
/// repetition. Events are kept for `EVENTS_RETENTION_HOURS` or longer. If the next ones are no longer kept, the stream sends
/// `event: gap` with `{"after": …, "from": …}`: events after the one and before the other position are missing, and the
/// client must read its data again. A comment is sent every 15 seconds. The stream ends when the login ends or the
/// user's role changes (not when the access token expires), when the client reads too slowly, and when the service
/// stops.
#[endpoint(operation_id = "events_stream", responses(
    (status_code = 403, description = "All events, and the caller is not an admin"),
    (status_code = 429, description = "The user has too many streams open")
))]
async fn events(
    req: &mut Request,
    state: State<AppState>,
    caller: Caller,
    query: Query<EventStreamQuery>,
    resume: Header<LastEventId>,
) -> Result<EventStream, Problem> {
    if query.0.all {
        caller.require_admin()?;
    }
    if req.method() == Method::HEAD {
        return Ok(EventStream::new(FRAME_BUFFER).1);
    }
    let user = (!query.0.all).then_some(caller.user.id);
    let login_ended = state.modules.authenticator.watch(caller.login, &caller.user).until_invalid();
    let stopping = state.stopping.clone().cancelled_owned();
    let feed = state.platform.events.feed(share_of(caller.user.id), user, resume.0).await?;
    let (frames, stream) = EventStream::new(FRAME_BUFFER);
    tokio::spawn(async move {
        tokio::select! {
            () = login_ended => {}
            () = stopping => {}
            () = frames.closed() => {}
            () = forward_events(feed, &frames, SEND_TIMEOUT) => {}
        }
    });
    Ok(stream)
}

/// Sends the items of the feed, and heartbeats between them, until the client is too slow or the feed fails.
async fn forward_events(mut feed: Feed, frames: &mpsc::Sender<String>, send_timeout: Duration) {
    let mut heartbeat = pin!(time::sleep(Duration::ZERO));
    loop {
        let frame = tokio::select! {
            // Items come before heartbeats: a client that resumed after the id of a heartbeat would miss a gap before it.
            biased;
            item = feed.next() => match item {
                Ok(item) => sse_frame(&item, feed.position()),
                Err(failure) => return tracing::warn!(%failure, "event stream ended: feed failed"),
            },
            () = &mut heartbeat => heartbeat_frame(feed.position()),
        };
        heartbeat.as_mut().reset(time::Instant::now() + HEARTBEAT);
        if frames.send_timeout(frame, send_timeout).await.is_err() {
            return tracing::debug!("event stream ended: client too slow");
        }
    }
}

/// The frame of an item. The id is its last line, so that a client that gets a part of it does not resume after it.
fn sse_frame(item: &FeedItem, position: i64) -> String {
    match item {
        FeedItem::Event(event) => format!("event: {}\ndata: {}\nid: {position}\n\n", event.kind(), event.envelope),
        FeedItem::Gap { after, from } => {
            format!("event: gap\ndata: {}\nid: {position}\n\n", json!({ "after": after, "from": from }))
        }
    }
}

/// A comment and an id without data. Clients store the id, and see no event.
fn heartbeat_frame(position: i64) -> String {
    format!(": still here\nid: {position}\n\n")
}

#[cfg(test)]
mod tests {
    use faceofmind_db::{Database, database::PoolSettings, migrations};
    use faceofmind_platform::outbox::{EventBus, Settings};
    use faceofmind_runtime::Caller as Listener;

    use super::*;

    /// Opens a feed whose only item is a gap.
    async fn feed(folder: &tempfile::TempDir) -> Feed {
        let db = Database::sqlite(&folder.path().join("faceofmind.db"), PoolSettings::default());
        migrations::migrate(&db).await.expect("migrates");
        EventBus::new(&Settings::default(), db).feed(Listener::alone("ada"), None, Some(5)).await.expect("a feed")
    }

    #[tokio::test]
    async fn the_stream_of_a_client_that_does_not_read_ends_and_that_of_one_that_reads_continues() {
        let folder = tempfile::tempdir().expect("a folder");
        let send_timeout = Duration::from_millis(20);
        let (frames, _unread) = mpsc::channel(FRAME_BUFFER);
        frames.try_send("not read".to_owned()).expect("the buffer has space for one");
        let unread_feed = feed(&folder).await;
        let ended = time::timeout(Duration::from_secs(5), forward_events(unread_feed, &frames, send_timeout)).await;
        assert!(ended.is_ok(), "the stream of a client that does not read goes on");
        let (frames, mut read) = mpsc::channel(FRAME_BUFFER);
        let read_feed = feed(&folder).await;
        tokio::spawn(async move { forward_events(read_feed, &frames, send_timeout).await });
        let gap = sse_frame(&FeedItem::Gap { after: 5, from: 1 }, 0);
        assert_eq!(read.recv().await, Some(gap));
        assert!(time::timeout(send_timeout * 5, read.recv()).await.is_err(), "it continues, and has nothing to send");
    }

    #[test]
    fn a_gap_names_the_positions_that_are_missing() {
        let frame = sse_frame(&FeedItem::Gap { after: 3, from: 9 }, 8);
        assert_eq!(frame, "event: gap\ndata: {\"after\":3,\"from\":9}\nid: 8\n\n");
    }

    #[test]
    fn a_heartbeat_is_not_an_event() {
        assert!(heartbeat_frame(7).lines().all(|line| !line.starts_with("data") && !line.starts_with("event")));
    }
}
