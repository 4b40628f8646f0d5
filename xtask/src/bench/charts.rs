//! What a long past costs: the chart of this week for someone with 100,000 detections, against someone with 100.

use anyhow::Result;

use super::{row::Row, stage::Stage, wrk::Load};

const CONNECTIONS: usize = 64;
const PATH: &str = "/api/v1/sessions/intensity_chart?window=week";
/// Both felt so much today: what the chart shows costs both the same.
const TODAY: u32 = 20;

/// Someone's past: sessions, three a week, and detections in each, one a second.
struct Past {
    email: &'static str,
    sessions: u32,
    detections: u32,
}

const LONG: Past = Past { email: "long@example.com", sessions: 100, detections: 1000 };
const SHORT: Past = Past { email: "short@example.com", sessions: 10, detections: 8 };

pub(crate) fn row(stage: &Stage) -> Result<Row<'_>> {
    let (long, short) = (LONG.load(stage)?, SHORT.load(stage)?);
    stage.query("vacuum analyze")?;
    Ok(Row {
        title: "GET /sessions/intensity_chart of a user with 100,000 detections",
        ours: Box::new(move |span| long.run(span)),
        reference_title: "the same of a user with 100",
        reference: Box::new(move |span| short.run(span)),
    })
}

impl Past {
    fn load(&self, stage: &Stage) -> Result<Load> {
        let account = stage.another_account(self.email)?;
        for sql in self.happened() {
            stage.query(&sql)?;
        }
        Load::get_as(stage, &account, PATH, CONNECTIONS)
    }

    /// Until 40 days ago, and then again today.
    fn happened(&self) -> [String; 4] {
        let Self { email, sessions, detections } = self;
        let own = format!("sessions s join users u on u.id = s.user_id and u.email = '{email}'");
        [
            format!(
                "insert into sessions (user_id, start_time, end_time) \
                 select id, at, at + interval '1 hour' from users, generate_series(0, {sessions} - 1) as ago, \
                 lateral (select now() - interval '40 days' - ago * interval '56 hours' as at) as day \
                 where email = '{email}'"
            ),
            format!(
                "insert into emotion_detections (session_id, timestamp) \
                 select s.id, s.start_time + second * interval '1 second' \
                 from {own}, generate_series(1, {detections}) as second"
            ),
            format!(
                "insert into emotion_detections (session_id, timestamp) \
                 select (select max(s.id) from {own}), now() from generate_series(1, {TODAY})"
            ),
            format!(
                "insert into facial_data (detection_id, emotion) \
                 select d.id, (array['happy', 'Sad', 'calm', 'saudade', 'ANGRY'])[1 + d.id % 5] \
                 from {own} join emotion_detections d on d.session_id = s.id"
            ),
        ]
    }
}
