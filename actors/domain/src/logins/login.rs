//! What a log-in is, and what a refresh token that is presented means. No I/O.

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_model::LoginId;
use faceofmind_platform::login_store::{Login, whole_seconds};
use serde::Serialize;

/// A log-in as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Key.
    pub id: LoginId,
    /// A label of what the person logged in with.
    pub device: String,
    /// The network address that they logged in from.
    pub address: String,
    /// When the person logged in.
    pub created_at: Timestamp,
    /// When it was last refreshed, or a generation first used.
    pub last_used_at: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// What a refresh token that was presented means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It is the current one: make the next.
    Rotate,
    /// It is the one just replaced, and its client may not have received the successor: the same successor again.
    Repeat,
    /// Somebody uses a token that was replaced: thief or owner, the log-in ends (RFC 9700 §4.14.2).
    Replay,
    /// The log-in has ended or expired, or never had such a token.
    Dead,
}

/// Rules on a refresh token of that generation. Rotations are dated in whole seconds, so the grace is counted in them: never shorter
/// than it is set, and up to a second longer.
pub(super) fn rule(login: &Login, presented: i64, now: Timestamp, grace: Duration) -> Ruling {
    let unproven = login.proven_generation < login.generation;
    let within_grace = whole_seconds(now).since(login.rotated_at) <= grace;
    match login.generation - presented {
        _ if !login.is_live(now) => Ruling::Dead,
        ..0 => Ruling::Dead,
        0 => Ruling::Rotate,
        1 if unproven || within_grace => Ruling::Repeat,
        _ => Ruling::Replay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    fn at_generation(generation: i64, proven: i64, now: Timestamp) -> Login {
        Login { generation, proven_generation: proven, ..Login::sample(now) }
    }

    #[test]
    fn the_current_token_rotates_and_one_never_made_is_dead() {
        let now = Timestamp::from_micros(0);
        assert_eq!(rule(&at_generation(3, 2, now), 3, now, GRACE), Ruling::Rotate);
        assert_eq!(rule(&at_generation(3, 2, now), 4, now, GRACE), Ruling::Dead);
    }

    #[test]
    fn the_one_just_replaced_is_repeated_while_the_successor_is_unproven() {
        let now = Timestamp::from_micros(0);
        let later = now + Duration::from_secs(600);
        assert_eq!(rule(&at_generation(3, 2, now), 2, later, GRACE), Ruling::Repeat);
        assert_eq!(rule(&at_generation(3, 3, now), 2, later, GRACE), Ruling::Replay);
    }

    #[test]
    fn within_the_grace_it_is_repeated_all_the_same() {
        let now = Timestamp::from_micros(0);
        let login = at_generation(3, 3, now);
        let in_the_tenth_second = now + GRACE + Duration::from_millis(999);
        assert_eq!(rule(&login, 2, in_the_tenth_second, GRACE), Ruling::Repeat);
        assert_eq!(rule(&login, 2, in_the_tenth_second + Duration::from_millis(1), GRACE), Ruling::Replay);
    }

    #[test]
    fn an_older_one_is_a_replay_at_once() {
        let now = Timestamp::from_micros(0);
        assert_eq!(rule(&at_generation(3, 2, now), 1, now, GRACE), Ruling::Replay);
    }

    #[test]
    fn nothing_wakes_a_log_in_that_has_ended_or_expired() {
        let now = Timestamp::from_micros(0);
        let ended = Login { ended_at: Some(now), ..Login::sample(now) };
        assert_eq!(rule(&ended, 1, now, GRACE), Ruling::Dead);
        assert_eq!(rule(&Login::sample(now), 1, now + Duration::from_secs(3600), GRACE), Ruling::Dead);
    }
}
