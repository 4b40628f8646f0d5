//! Reads sessions. One or two statements, whatever the number of rows.

use std::{collections::HashMap, sync::LazyLock};

use faceofmind_db::{Database, ReadConn, StoreError, with_conn};
use faceofmind_model::{Page, PageRequest, UserId};
use futures_util::TryStreamExt as _;

use super::{
    counts::{CountRow, EmotionCounts, EmotionStats, add_up},
    messages::SessionError,
    session::{Session, SessionId, SessionSummary, first_sentence},
    store::{self, OwnedSession},
};

const COUNT: &str = "SELECT count(*) FROM sessions WHERE user_id = $1";
/// The ids of the page first, from the index: PostgreSQL evaluates what a row of the result consists of also for the rows before the offset.
///
/// The first look-up is for the time until all suggestions are listed. The second one finds one entry by the index, whatever the plan, and shows no
/// suggestion whose detection is in another session.
pub(super) const PAGE: &str = "SELECT s.id, s.user_id, s.start_time, s.end_time, \
    CASE WHEN EXISTS (SELECT 1 FROM unlisted_suggestions) THEN \
    (SELECT w.suggestion FROM emotion_detections d JOIN wellness_suggestions w ON w.detection_id = d.id \
     WHERE d.session_id = s.id ORDER BY w.id LIMIT 1) ELSE \
    (SELECT w.suggestion FROM wellness_suggestions w JOIN emotion_detections d ON d.id = w.detection_id \
     WHERE d.session_id = s.id AND w.id = \
     (SELECT l.suggestion_id FROM session_suggestions l WHERE l.session_id = s.id ORDER BY l.suggestion_id LIMIT 1)) \
    END AS suggestion \
    FROM (SELECT id FROM sessions WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3 OFFSET $4) AS page \
    JOIN sessions s ON s.id = page.id ORDER BY s.id DESC";
static EMOTIONS: LazyLock<String> = LazyLock::new(|| {
    let counts =
        "sessions s JOIN emotion_counts c ON c.session_id = s.id WHERE s.user_id = $1 AND s.id BETWEEN $2 AND $3";
    let uncounted = "u.session_id BETWEEN $2 AND $3";
    add_up(["c.session_id", "u.session_id"], counts, uncounted)
});

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    session: Session,
    suggestion: Option<String>,
}

pub(super) async fn get(db: &Database, user: UserId, id: SessionId) -> Result<Session, SessionError> {
    find(db, &[(id, user)]).await?.pop().ok_or(SessionError::NotFound)
}

/// Returns those of the requested sessions that exist.
pub(super) async fn find(db: &Database, requested: &[OwnedSession]) -> Result<Vec<Session>, StoreError> {
    store::find(db.read_conn().await?.connection(), requested).await
}

pub(super) async fn count(db: &Database, user: UserId) -> Result<u64, StoreError> {
    let mut reader = db.read_conn().await?;
    let (count,): (i64,) = with_conn!(reader.connection(), c => sqlx::query_as(COUNT).bind(user).fetch_one(c).await)?;
    Ok(count.unsigned_abs())
}

pub(super) async fn list(
    db: &Database,
    request: PageRequest<SessionId>,
) -> Result<Page<SessionSummary, SessionId>, StoreError> {
    let user = request.reader;
    let mut reader = db.read_conn().await?;
    let rows: Vec<Row> = with_conn!(reader.connection(), c => sqlx::query_as(PAGE)
        .bind(user).bind(request.after.unwrap_or(SessionId(i64::MAX))).bind(request.rows()).bind(i64::from(request.skip))
        .fetch_all(c).await)?;
    let page = request.page(rows, |row: &Row| row.session.id);
    let counts = match (page.results.first(), page.results.last()) {
        (Some(newest), Some(oldest)) => count_emotions(&mut reader, user, oldest.session.id, newest.session.id).await?,
        _ => HashMap::new(),
    };
    let results = page.results.into_iter().map(|row| to_summary(row, &counts)).collect();
    Ok(Page { results, next: page.next })
}

fn to_summary(row: Row, counts: &HashMap<SessionId, EmotionCounts>) -> SessionSummary {
    let Session { id, user_id, start_time, end_time } = row.session;
    let dominant_emotion = counts.get(&id).and_then(EmotionCounts::dominant).map(str::to_owned);
    let suggestion = row.suggestion.as_deref().and_then(first_sentence);
    SessionSummary { id, user_id, start_time, end_time, dominant_emotion, suggestion }
}

/// Counts the emotions in the user's sessions from `oldest` to `newest`. By ids and not by offset, because a new session shifts the offsets.
async fn count_emotions(
    reader: &mut ReadConn,
    user: UserId,
    oldest: SessionId,
    newest: SessionId,
) -> Result<HashMap<SessionId, EmotionCounts>, StoreError> {
    let mut counts: HashMap<_, EmotionCounts> = HashMap::new();
    with_conn!(reader.connection(), c => {
        let sql = EMOTIONS.as_str();
        let mut rows = sqlx::query_as::<_, CountRow<SessionId>>(sql).bind(user).bind(oldest).bind(newest).fetch(c);
        while let Some((session, emotion, count, latest, detection)) = rows.try_next().await? {
            counts.entry(session).or_default().add(&emotion, EmotionStats { count, latest, detection });
        }
        Ok(())
    })?;
    Ok(counts)
}
