//! What a refresh token means. No I/O.

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_platform::login_store::{Login, whole_seconds};

/// What a refresh does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefreshDecision {
    /// The token is the current one: make the next generation.
    Rotate,
    /// The token was replaced last, and the client may not have received the successor: issue the successor again.
    Reissue,
    /// A replaced token is reused, by a thief or by the user after a thief: end the login (RFC 9700 §4.14.2).
    ReuseDetected,
    /// The login has ended or expired, or never had such a token.
    Invalid,
}

/// Decides on a refresh token of the generation `presented`. Rotations are dated in whole seconds, so the grace period lasts
/// up to a second longer than `grace`, and never ends earlier.
pub(super) fn decide_refresh(login: &Login, presented: i64, now: Timestamp, grace: Duration) -> RefreshDecision {
    let is_unused = login.used_generation < login.generation;
    let is_within_grace = whole_seconds(now).since(login.rotated_at) <= grace;
    match login.generation - presented {
        _ if !login.is_live(now) => RefreshDecision::Invalid,
        ..0 => RefreshDecision::Invalid,
        0 => RefreshDecision::Rotate,
        1 if is_unused || is_within_grace => RefreshDecision::Reissue,
        _ => RefreshDecision::ReuseDetected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    fn login(generation: i64, used_generation: i64, now: Timestamp) -> Login {
        Login { generation, used_generation, ..Login::sample(now) }
    }

    #[test]
    fn the_current_token_rotates_and_one_never_made_is_invalid() {
        let now = Timestamp::from_micros(0);
        assert_eq!(decide_refresh(&login(3, 2, now), 3, now, GRACE), RefreshDecision::Rotate);
        assert_eq!(decide_refresh(&login(3, 2, now), 4, now, GRACE), RefreshDecision::Invalid);
    }

    #[test]
    fn a_token_just_replaced_gets_its_successor_again_while_the_successor_is_unused() {
        let now = Timestamp::from_micros(0);
        let later = now + Duration::from_secs(600);
        assert_eq!(decide_refresh(&login(3, 2, now), 2, later, GRACE), RefreshDecision::Reissue);
        assert_eq!(decide_refresh(&login(3, 3, now), 2, later, GRACE), RefreshDecision::ReuseDetected);
    }

    #[test]
    fn within_the_grace_it_gets_its_successor_again_all_the_same() {
        let now = Timestamp::from_micros(0);
        let login = login(3, 3, now);
        let in_the_tenth_second = now + GRACE + Duration::from_millis(999);
        assert_eq!(decide_refresh(&login, 2, in_the_tenth_second, GRACE), RefreshDecision::Reissue);
        let next_second = in_the_tenth_second + Duration::from_millis(1);
        assert_eq!(decide_refresh(&login, 2, next_second, GRACE), RefreshDecision::ReuseDetected);
    }

    #[test]
    fn an_older_token_is_reuse_at_once() {
        let now = Timestamp::from_micros(0);
        assert_eq!(decide_refresh(&login(3, 2, now), 1, now, GRACE), RefreshDecision::ReuseDetected);
    }

    #[test]
    fn no_token_of_a_login_that_has_ended_or_expired_is_valid() {
        let now = Timestamp::from_micros(0);
        let ended = Login { ended_at: Some(now), ..Login::sample(now) };
        assert_eq!(decide_refresh(&ended, 1, now, GRACE), RefreshDecision::Invalid);
        let expired = now + Duration::from_secs(3600);
        assert_eq!(decide_refresh(&Login::sample(now), 1, expired, GRACE), RefreshDecision::Invalid);
    }
}
