//! The cost of a long history: the chart of this week for a user with 100,000 detections, against a user with 100.

use anyhow::Result;

use super::{account::Account, env::BenchEnv, row::Row, wrk::Load};

const CONNECTIONS: usize = 64;
pub(super) const PATH: &str = "/api/v1/sessions/intensity_chart?window=week";
/// Both users have the same detections in the chart's week, so that their content costs the same.
const DETECTIONS_TODAY: u32 = 20;

/// The history of a user: sessions, three a week, with one detection a second.
pub(super) struct History {
    pub(super) email: &'static str,
    pub(super) sessions: u32,
    pub(super) detections: u32,
}

const LONG: History = History { email: "long@example.com", sessions: 100, detections: 1000 };
const SHORT: History = History { email: "short@example.com", sessions: 10, detections: 8 };

pub(crate) fn row(env: &BenchEnv) -> Result<Row<'_>> {
    let [long, short] = [LONG.create(env)?, SHORT.create(env)?];
    let [long, short] = [Load::get_as(env, &long, PATH, CONNECTIONS)?, Load::get_as(env, &short, PATH, CONNECTIONS)?];
    env.query("vacuum analyze")?;
    Ok(Row {
        title: "GET /sessions/intensity_chart of a user with 100,000 detections",
        ours: Box::new(move |span| long.run(span)),
        reference_title: "the same of a user with 100",
        reference: Box::new(move |span| short.run(span)),
    })
}

impl History {
    pub(super) fn create(&self, env: &BenchEnv) -> Result<Account> {
        let account = env.another_account(self.email)?;
        for sql in self.inserts() {
            env.query(&sql)?;
        }
        Ok(account)
    }

    /// The history ends 40 days ago. The user has further detections today.
    fn inserts(&self) -> [String; 4] {
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
                 select (select max(s.id) from {own}), now() from generate_series(1, {DETECTIONS_TODAY})"
            ),
            format!(
                "insert into facial_data (detection_id, emotion) \
                 select d.id, (array['happy', 'Sad', 'calm', 'saudade', 'ANGRY'])[1 + d.id % 5] \
                 from {own} join emotion_detections d on d.session_id = s.id"
            ),
        ]
    }
}
