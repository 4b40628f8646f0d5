//! The requests whose instructions are counted.

use std::{path::Path, thread, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    callgrind::Counted,
    connection::{Connection, Request},
    table::Count,
};
use crate::{
    bench::account::{Account, EMAIL},
    interrupt::Interrupt,
};

/// Each round counts all requests. Counts are medians.
const ROUNDS: usize = 3;
/// Caches, pools and buffers are filled after this many requests of a kind.
const WARM_UP: u32 = 100;
/// How long the service is left alone, to count what it does without requests.
const ALONE: Duration = Duration::from_secs(3);
/// The last character has two forms in Unicode: one character, or `e` and an accent.
const PASSWORD: &str = "Larch-Quarry-Violin-72\u{e9}";
const DECOMPOSED_PASSWORD: &str = "Larch-Quarry-Violin-72e\u{301}";

/// The requests, each with how often a round sends it.
struct Requests {
    me: (Request, u32),
    start: (Request, u32),
    log_in: (Request, u32),
    /// The same log-in with one more hash: a password that is not in Normalization Form C is compared in it and as typed.
    log_in_with_two_hashes: (Request, u32),
}

/// The instructions of each request in one round.
struct Round {
    me: f64,
    start: f64,
    log_in: f64,
    hash: f64,
}

/// Starts the service under callgrind, and counts the instructions of each request.
pub(super) fn count(binary: &Path, dir: &Path, interrupt: &Interrupt) -> Result<Vec<Count>> {
    let mut service = Counted::start(binary, dir, interrupt)?;
    let account = Account::create_with(service.port, &credentials(PASSWORD), &service.mails, interrupt)?;
    let requests = Requests::new(&account.access_token);
    let mut connection = Connection::open(service.port)?;
    service.switch_on()?;
    for request in requests.all() {
        repeat(&mut connection, request, WARM_UP, interrupt)?;
    }
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let round = requests.round(&mut service, &mut connection, interrupt)?;
        let Round { me, start, log_in, hash } = &round;
        eprintln!("round {number}/{ROUNDS}: {me:.0}, {start:.0}, {log_in:.0} without a hash of {hash:.0}");
        rounds.push(round);
    }
    let of = |request, figure: fn(&Round) -> f64| Count::new(request, rounds.iter().map(figure));
    Ok(vec![
        of("`GET /auth/me`", |round| round.me),
        of("`POST /sessions/`", |round| round.start),
        of("`POST /auth/login`, without its hash", |round| round.log_in),
    ])
}

fn credentials(password: &str) -> Value {
    json!({ "email": EMAIL, "password": password })
}

impl Requests {
    fn new(access_token: &str) -> Self {
        let log_in = |password| Request::post("/api/v1/auth/login", "", &credentials(password));
        Self {
            me: (Request::get("/api/v1/auth/me", access_token), 2000),
            start: (Request::post("/api/v1/sessions/", access_token, &json!({})), 500),
            log_in: (log_in(PASSWORD), 500),
            log_in_with_two_hashes: (log_in(DECOMPOSED_PASSWORD), 500),
        }
    }

    fn all(&self) -> [&Request; 4] {
        [&self.me.0, &self.start.0, &self.log_in.0, &self.log_in_with_two_hashes.0]
    }

    fn round(&self, service: &mut Counted, connection: &mut Connection, interrupt: &Interrupt) -> Result<Round> {
        let alone = service.during(|| {
            thread::sleep(ALONE);
            Ok(())
        })?;
        let mut count = |(request, times): &(Request, u32)| {
            let counted = service.during(|| repeat(connection, request, *times, interrupt))?;
            anyhow::Ok(per_request(counted, alone, *times))
        };
        let (me, start, log_in) = (count(&self.me)?, count(&self.start)?, count(&self.log_in)?);
        let hash = count(&self.log_in_with_two_hashes)? - log_in;
        Ok(Round { me, start, log_in: log_in - hash, hash })
    }
}

fn repeat(connection: &mut Connection, request: &Request, times: u32, interrupt: &Interrupt) -> Result<()> {
    for _ in 0..times {
        interrupt.check()?;
        connection.send(request)?;
    }
    Ok(())
}

/// The instructions of one request, less what the service does in this time without requests. Both are instructions and seconds.
fn per_request(counted: (f64, f64), alone: (f64, f64), times: u32) -> f64 {
    let background = alone.0 / alone.1 * counted.1;
    (counted.0 - background) / f64::from(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_does_without_requests_is_not_counted() {
        // 500 instructions a second alone, 4 s with requests.
        assert_eq!(per_request((12_000.0, 4.0), (1_000.0, 2.0), 100), 100.0);
    }
}
