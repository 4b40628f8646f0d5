//! Helplines beside what a user wrote, when it mentions suicide or self-harm. What was written is stored all the same, and reported to no
//! other person.

use faceofmind_domain::{sessions::AdviceLocale, suggestions::crisis};
use jiff::tz::TimeZone;
use salvo::Request;

use super::{caller::Caller, problem::Problem};

/// Returns the helplines of the caller's country when a text mentions suicide or self-harm, else nothing.
///
/// # Errors
/// 429 and 503 when too many texts wait to be searched. Nothing is stored then.
pub(super) async fn helplines<'a>(
    req: &Request,
    caller: &Caller,
    texts: impl IntoIterator<Item = &'a String>,
) -> Result<Vec<String>, Problem> {
    let AdviceLocale { time_zone, language } = advice_locale(req, caller);
    let texts = texts.into_iter().cloned().collect();
    Ok(crisis::helplines(caller.user.id, texts, time_zone.as_deref(), language.as_deref()).await?)
}

/// The locale of suggestions: the time zone of the request, or else of the user, and the language of the user, or else
/// of the request. An unknown `X-Time-Zone` is ignored here.
pub(super) fn advice_locale(req: &Request, caller: &Caller) -> AdviceLocale {
    let header = req.headers().get("x-time-zone").and_then(|value| value.to_str().ok());
    let named = header.filter(|name| TimeZone::get(name).is_ok()).map(str::to_owned);
    let language = caller.user.language.clone().or_else(|| caller.context.languages.first().cloned());
    AdviceLocale { time_zone: named.or_else(|| caller.user.time_zone.clone()), language }
}
