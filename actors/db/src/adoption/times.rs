//! Start times that the predecessor stored some hours early. It wrote `datetime.utcnow()`, a time without a zone, which a server in the zone
//! Asia/Manila took for 8 hours less.

use super::{
    AdoptionError,
    session::{Session, literal},
};
use crate::Database;

/// The sessions for which a condition holds, with the time of the first thing that is known of each after its start, and that was stored rightly.
macro_rules! sessions_with_first_event {
    ($condition:literal) => {
        concat!(
            "SELECT s.id, s.start_time, s.end_time, least(min(d.\"timestamp\"), s.end_time) AS first_event \
             FROM sessions s LEFT JOIN emotion_detections d ON d.session_id = s.id WHERE ",
            $condition,
            " GROUP BY s.id, s.start_time, s.end_time"
        )
    };
}

pub(super) const SHIFTED_BY_EIGHT_HOURS: &str = concat!(
    "SELECT id FROM (",
    sessions_with_first_event!("coalesce(s.end_time - s.start_time >= interval '7 hours 55 minutes', true)"),
    ") AS known WHERE first_event - start_time >= interval '7 hours 55 minutes'"
);
pub(super) const WHAT: &str =
    "sessions in which nothing happens for 7:55 hours after their start, as where the server's time zone shifted it";
pub(super) const REMEDY: &str = "if the server's time zone was Asia/Manila, run `faceofmind migrate --repair-times Asia/Manila`; with another one, name that";

/// What mending the times did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// The number of sessions whose start was mended.
    pub sessions: i64,
    /// The time zone that had shifted them.
    pub zone: String,
    /// Whether an earlier run did it, and this one changed nothing.
    pub is_earlier: bool,
}

/// Mends the start of each session from before the adoption that the time zone of the server has shifted: what is known of the session begins
/// only about as much later. Does so once: a later run changes nothing.
///
/// # Errors
/// [`AdoptionError::NotAdopted`], [`AdoptionError::UnknownZone`], [`AdoptionError::Store`].
pub async fn mend(db: &Database, zone: &str) -> Result<Mended, AdoptionError> {
    let Database::Postgres(pool) = db else { return Err(AdoptionError::NotAdopted) };
    if super::find(db).await?.is_none() {
        return Err(AdoptionError::NotAdopted);
    }
    let mut session = Session::connect(pool).await?;
    let zone = known_zone(&mut session, zone).await?;
    let mended: Vec<(i64,)> = session.transact(&[mend_all(&zone)]).await?;
    let result = match mended.first() {
        Some(&(sessions,)) => Mended { sessions, zone, is_earlier: false },
        None => earlier(&mut session, zone).await?,
    };
    session.close().await;
    Ok(result)
}

async fn known_zone(session: &mut Session, zone: &str) -> Result<String, AdoptionError> {
    let sql = format!("SELECT name FROM pg_timezone_names WHERE lower(name) = lower({})", literal(zone));
    let known: Vec<(String,)> = session.rows(&sql).await?;
    let known = known.into_iter().next().map(|(name,)| name);
    known.ok_or_else(|| AdoptionError::UnknownZone(zone.to_owned()))
}

/// A run that finds nothing to mend is not recorded, so that another zone may be tried.
async fn earlier(session: &mut Session, zone: String) -> Result<Mended, AdoptionError> {
    let rows: Vec<(i64, String)> =
        session.rows("SELECT sessions_mended, times_zone FROM adoption WHERE times_mended_at IS NOT NULL").await?;
    let earlier = rows.into_iter().next().map(|(sessions, zone)| Mended { sessions, zone, is_earlier: true });
    Ok(earlier.unwrap_or(Mended { sessions: 0, zone, is_earlier: false }))
}

/// The stored time, shown in the zone, reads as what the predecessor wrote; and that was UTC. Where the zone is west of UTC, a shifted session
/// starts after its end.
fn mend_all(zone: &str) -> String {
    let zone = literal(zone);
    format!(
        "WITH adopted AS (SELECT last_session_id FROM adoption WHERE times_mended_at IS NULL FOR UPDATE), \
         shifted AS (SELECT known.id, known.first_event, (known.start_time AT TIME ZONE {zone}) AT TIME ZONE 'UTC' AS meant \
             FROM ({}) AS known), \
         mended AS (UPDATE sessions s SET start_time = least(shifted.meant, shifted.first_event) FROM shifted \
             WHERE s.id = shifted.id AND shifted.meant <= shifted.first_event + interval '5 minutes' \
             AND (shifted.meant > s.start_time OR shifted.meant < s.start_time AND shifted.first_event < s.start_time) \
             RETURNING 1) \
         UPDATE adoption SET times_mended_at = now(), times_zone = {zone}, \
             sessions_mended = (SELECT count(*) FROM mended) \
             WHERE times_mended_at IS NULL AND EXISTS (SELECT 1 FROM mended) RETURNING sessions_mended",
        sessions_with_first_event!("s.id <= (SELECT last_session_id FROM adopted)")
    )
}

/// The time zone in which the server stored times without one, as far as the role of this program may see it.
pub(super) async fn server_zone(session: &mut Session) -> Result<Option<String>, sqlx::Error> {
    let sql = "SELECT split_part(setting, '=', 2) FROM pg_db_role_setting r, unnest(r.setconfig) AS setting \
        WHERE setting ILIKE 'timezone=%' AND r.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
        ORDER BY r.setdatabase = 0, r.setrole = 0 LIMIT 1";
    let set: Vec<(String,)> = session.rows(sql).await?;
    if let Some((zone,)) = set.into_iter().next() {
        return Ok(Some(zone));
    }
    let may_read: Vec<(bool,)> =
        session.rows("SELECT has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')").await?;
    if may_read != [(true,)] {
        return Ok(None);
    }
    let sql = "SELECT setting FROM pg_file_settings WHERE lower(name) = 'timezone' AND error IS NULL ORDER BY seqno DESC LIMIT 1";
    let found: Vec<(String,)> = session.rows(sql).await?;
    // Without a line, it is that of the server's environment at `initdb`, or GMT.
    Ok(found.into_iter().next().map(|(zone,)| zone))
}
