//! How much one user may send in a day, so that no user fills the disk that all use.

use faceofmind_model::UserId;
use faceofmind_platform::{
    Platform,
    rate_limit::{Acquire, Limit, RateLimitKey},
};
use salvo::Depot;

use super::{
    problem::Problem,
    state::{AppState, State},
};

/// Bounds what each user sends in a day, as a number of bodies of the greatest size.
#[derive(Clone, Copy, Debug)]
pub struct DailyShare {
    /// How many bodies of the greatest size.
    pub limit: Limit,
    /// The greatest size of a body in bytes.
    pub body_limit: usize,
}

/// The user whose token the request carries, for what reads its body.
struct SentBy(UserId);

/// Notes whose share the body of this request counts against.
pub fn sent_by(depot: &mut Depot, user: UserId) {
    depot.insert_typed(SentBy(user));
}

/// Counts a body against the share of the user who sent it. A request without a token has none.
///
/// # Errors
/// 429 when the share is used up.
pub async fn count(depot: &Depot, length: usize) -> Result<(), Problem> {
    let Ok(SentBy(user)) = depot.get_typed() else { return Ok(()) };
    let state = State::<AppState>::of(depot)?;
    state.daily_share.count(&state.platform, *user, length).await
}

impl DailyShare {
    /// Counting every body would cost more than most bodies. A body counts with the chance that its length has of the greatest one, so the
    /// expected count is exact.
    async fn count(&self, platform: &Platform, user: UserId, length: usize) -> Result<(), Problem> {
        let chance = platform.rng.random_below(u32::try_from(self.body_limit).unwrap_or(u32::MAX));
        if chance as usize >= length {
            return Ok(());
        }
        let key = RateLimitKey { limit: self.limit, subject: user.0.to_string() };
        let _never_refunded = platform.limiter.ask(Acquire(vec![key])).await?;
        Ok(())
    }
}
