//! What a log-in is, and what a refresh token that is presented means. No I/O.

use std::time::Duration;

use faceofmind_kit::{Timestamp, id};
use serde::Serialize;
use sqlx::FromRow;

use super::token::whole_seconds;
use crate::user_registry::UserId;

id! {
    /// The key of a log-in, `sid` in its tokens.
    LoginId
}

/// A log-in: one row, whose refresh tokens are generations of it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Login {
    /// Key.
    pub id: LoginId,
    /// Whose.
    pub user_id: UserId,
    /// Of the current refresh token, from 1.
    pub generation: i64,
    /// The last generation that its client is known to have received; 0 before the first.
    pub proven_generation: i64,
    /// When the person logged in.
    pub created_at: Timestamp,
    /// When the current generation was made, in whole seconds.
    pub rotated_at: Timestamp,
    /// When it was last refreshed, or a generation first used.
    pub last_used_at: Timestamp,
    /// When the current refresh token expires, in whole seconds.
    pub expires_at: Timestamp,
    /// When it ended, if it did.
    pub ended_at: Option<Timestamp>,
    /// A label of what the person logged in with.
    pub device: String,
    /// The network address that they logged in from.
    pub address: String,
}

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

impl Login {
    /// Whether it can be used at all.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }

    /// Rules on a refresh token of that generation. Rotations are dated in whole seconds, so the grace is counted in them: never shorter
    /// than it is set, and up to a second longer.
    pub(super) fn rule(&self, presented: i64, now: Timestamp, grace: Duration) -> Ruling {
        let unproven = self.proven_generation < self.generation;
        let within_grace = whole_seconds(now).since(self.rotated_at) <= grace;
        match self.generation - presented {
            _ if !self.is_live(now) => Ruling::Dead,
            ..0 => Ruling::Dead,
            0 => Ruling::Rotate,
            1 if unproven || within_grace => Ruling::Repeat,
            _ => Ruling::Replay,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    pub(in crate::logins) fn login(now: Timestamp) -> Login {
        Login {
            id: LoginId(7),
            user_id: UserId(1),
            generation: 1,
            proven_generation: 0,
            created_at: now,
            rotated_at: now,
            last_used_at: now,
            expires_at: now + Duration::from_secs(3600),
            ended_at: None,
            device: "test".into(),
            address: "127.0.0.1".into(),
        }
    }

    fn at_generation(generation: i64, proven: i64, now: Timestamp) -> Login {
        Login { generation, proven_generation: proven, ..login(now) }
    }

    #[test]
    fn the_current_token_rotates_and_one_never_made_is_dead() {
        let now = Timestamp::from_micros(0);
        assert_eq!(at_generation(3, 2, now).rule(3, now, GRACE), Ruling::Rotate);
        assert_eq!(at_generation(3, 2, now).rule(4, now, GRACE), Ruling::Dead);
    }

    #[test]
    fn the_one_just_replaced_is_repeated_while_the_successor_is_unproven() {
        let now = Timestamp::from_micros(0);
        let later = now + Duration::from_secs(600);
        assert_eq!(at_generation(3, 2, now).rule(2, later, GRACE), Ruling::Repeat);
        assert_eq!(at_generation(3, 3, now).rule(2, later, GRACE), Ruling::Replay);
    }

    #[test]
    fn within_the_grace_it_is_repeated_all_the_same() {
        let now = Timestamp::from_micros(0);
        let login = at_generation(3, 3, now);
        let in_the_tenth_second = now + GRACE + Duration::from_millis(999);
        assert_eq!(login.rule(2, in_the_tenth_second, GRACE), Ruling::Repeat);
        assert_eq!(login.rule(2, in_the_tenth_second + Duration::from_millis(1), GRACE), Ruling::Replay);
    }

    #[test]
    fn an_older_one_is_a_replay_at_once() {
        let now = Timestamp::from_micros(0);
        assert_eq!(at_generation(3, 2, now).rule(1, now, GRACE), Ruling::Replay);
    }

    #[test]
    fn nothing_wakes_a_log_in_that_has_ended_or_expired() {
        let now = Timestamp::from_micros(0);
        let ended = Login { ended_at: Some(now), ..login(now) };
        assert_eq!(ended.rule(1, now, GRACE), Ruling::Dead);
        assert_eq!(login(now).rule(1, now + Duration::from_secs(3600), GRACE), Ruling::Dead);
    }
}
