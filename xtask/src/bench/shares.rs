//! What one caller costs another: the latency of one connection alone, and while another caller floods what both need with 64 connections. It
//! should be at most twice what it is alone, or 50 ms, and nothing should be refused.

use std::{thread, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    account::{Account, EMAIL},
    charts::{self, History},
    env::BenchEnv,
    http,
    report::Section,
    wrk::Load,
};

pub(crate) const TITLE: &str = "beside a flood";
const CONNECTIONS: usize = 64;
/// The flood fills its queues before the measurement, and outlasts it.
const LEAD: Duration = Duration::from_secs(1);
const FLOODING: &str = "192.0.2.1";
const OTHER: &str = "198.51.100.1";
const FLOOR_MS: f64 = 50.0;
const HISTORY: History = History { email: "flood@example.com", sessions: 100, detections: 1000 };
const BATCH: usize = 1000;

/// A flood, and what another caller does meanwhile.
struct Share {
    resource: &'static str,
    flood: Load,
    other: Load,
}

pub(crate) fn measure(env: &BenchEnv, span: Duration) -> Result<Section> {
    let mut text = format!(
        "The 99th percentile of one connection alone and {TITLE} of another caller's {CONNECTIONS}, in ms. Within its share: nothing was \
         refused, and the other takes at most twice its time alone, or {FLOOR_MS} ms.\n\n\
         | flood | the other caller | alone | beside | ratio | refused | within its share |\n|---|---|--:|--:|--:|--:|---|\n"
    );
    for share in shares(env)? {
        env.wait_until_idle()?;
        let line = share.measure(span)?;
        eprintln!("{line}");
        text.push_str(&(line + "\n"));
    }
    Ok(Section { title: "Beside a flood", text })
}

impl Share {
    fn measure(&self, span: Duration) -> Result<String> {
        let (alone, _) = self.other.p99(span)?;
        let (beside, refused) = thread::scope(|scope| {
            let flooding = scope.spawn(|| self.flood.flood(span + 2 * LEAD));
            thread::sleep(LEAD);
            let measured = self.other.p99(span);
            flooding.join().ok().context("the flood panicked")??;
            measured
        })?;
        Ok(line((self.resource, self.other.path()), alone, beside, refused))
    }
}

/// A latency of 0 is that of no request: the first one took longer than the measurement.
fn line((resource, other): (&str, &str), alone: f64, beside: f64, refused: u64) -> String {
    if alone == 0.0 || beside == 0.0 {
        return format!("| {resource} | `{other}` | – | – | – | {refused} | not measured: no request ended in time |");
    }
    let is_within = refused == 0 && beside <= (2.0 * alone).max(FLOOR_MS);
    let (verdict, ratio) = (if is_within { "yes" } else { "**no**" }, beside / alone);
    format!("| {resource} | `{other}` | {alone:.1} | {beside:.1} | {ratio:.1} | {refused} | {verdict} |")
}

fn shares(env: &BenchEnv) -> Result<Vec<Share>> {
    let flooding = HISTORY.create(env)?;
    env.query("vacuum analyze")?;
    let start = |account: &Account| http::post(env.port(), "/api/v1/sessions/", &account.access_token, &json!({}));
    let [session, own] = [start(&flooding)?["id"].clone(), start(env.account())?["id"].clone()];
    let long = env.query(&format!(
        "select min(s.id) from sessions s join users u on u.id = s.user_id where u.email = '{}'",
        HISTORY.email
    ))?;
    let detections = Value::from(vec![json!({ "emotion": "content", "confidence": 0.93 }); BATCH]).to_string();
    let flood = |path: &str| Load::get_as(env, &flooding, path, CONNECTIONS)?.from(FLOODING);
    let post_flood = |path: &str, body: &str| Load::post_as(env, &flooding, path, CONNECTIONS, body)?.from(FLOODING);
    let get = |path: &str| Load::get(env, path, 1)?.from(OTHER);
    let post = |path: &str, body: &str| Load::post(env, path, 1, body)?.from(OTHER);
    let log_in = || post("/api/v1/auth/login", &Account::credentials(EMAIL).to_string());
    let detect = format!("/api/v1/sessions/{session}/detections");
    let share = |resource, flood, other| Share { resource, flood, other };
    Ok(vec![
        share("log-ins", post_flood("/api/v1/auth/login", &wrong_password())?, log_in()?),
        share("log-ins", post_flood("/api/v1/auth/login", &wrong_password())?, get("/api/v1/auth/me")?),
        share(
            "passwords that are dear to rate",
            post_flood("/api/v1/auth/register", &dear_password())?,
            get("/api/v1/auth/me")?,
        ),
        share("charts", flood(charts::PATH)?, get("/api/v1/sessions/")?),
        share("charts", flood(charts::PATH)?, log_in()?),
        share(
            "session histories",
            flood(&format!("/api/v1/sessions/{long}/history"))?,
            get(&format!("/api/v1/sessions/{own}/history"))?,
        ),
        share("1,000 detections a request", post_flood(&detect, &detections)?, post("/api/v1/sessions/", "{}")?),
        share("sessions", post_flood("/api/v1/sessions/", "{}")?, post("/api/v1/sessions/", "{}")?),
        share("posts", post_flood("/api/v1/posts/", &post_of(100))?, post("/api/v1/posts/", &post_of(100))?),
        share("bodies of 1 MB", post_flood("/api/v1/posts/", &post_of(1_000_000))?, get("/api/v1/auth/me")?),
        share("exports", flood("/api/v1/users/me/export")?, get("/api/v1/users/me/export")?),
        share("event streams", flood("/api/v1/events")?, post("/api/v1/sessions/", "{}")?),
        share("new connections", flood("/health")?.over_new_connections()?, get("/api/v1/auth/me")?),
        // Last, because the mails go on after it.
        share("password resets by mail", post_flood("/api/v1/auth/request-password-reset", &reset())?, log_in()?),
    ])
}

fn wrong_password() -> String {
    json!({ "email": HISTORY.email, "password": "not-the-password" }).to_string()
}

fn reset() -> String {
    json!({ "email": HISTORY.email }).to_string()
}

/// zxcvbn tries every character that each of these may stand for.
fn dear_password() -> String {
    let password = "4@8({[<369&#!1/|0$5+7%2".repeat(5);
    json!({ "email": "dear@example.com", "password": password, "first_name": "A", "last_name": "B", "role": "user" })
        .to_string()
}

fn post_of(length: usize) -> String {
    json!({ "content": "calm ".repeat(length / 5) }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_twice_the_own_time_or_the_floor_and_nothing_refused() {
        let verdict = |alone, beside, refused| {
            let line = line(("exports", "export"), alone, beside, refused);
            line.trim_end_matches(" |").rsplit_once("| ").expect("a cell").1.to_owned()
        };
        assert_eq!([verdict(1.0, 49.0, 0), verdict(40.0, 80.0, 0)], ["yes", "yes"]);
        assert_eq!([verdict(1.0, 51.0, 0), verdict(40.0, 81.0, 0), verdict(1.0, 1.0, 1)], ["**no**"; 3]);
        assert!(verdict(0.0, 0.0, 0).starts_with("not measured"));
    }
}
