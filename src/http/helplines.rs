//! Helplines beside what a user wrote, when it mentions suicide or self-harm. What was written is stored all the same, and reported to no
//! other person.

use faceofmind_domain::{sessions::AdviceLocale, suggestions::crisis};
use jiff::tz::TimeZone;
use salvo::{
    Depot, Request,
    oapi::{Components, Operation},
};

use super::{
    caller::Caller, extract::extractor, header::HeaderField as _, openapi::parameter, problem::Problem,
    time_zone::XTimeZone,
};

/// What a request says of the place of its user: its `X-Time-Zone`, of which an unknown one is ignored here, and the languages that
/// [`Caller`] reads.
pub(super) struct RequestLocale {
    time_zone: Option<String>,
}

impl RequestLocale {
    async fn from_request(req: &Request, _: &Depot) -> Result<Self, Problem> {
        let header = req.headers().get(XTimeZone::NAME).and_then(|value| value.to_str().ok());
        Ok(Self { time_zone: header.filter(|name| TimeZone::get(name).is_ok()).map(str::to_owned) })
    }

    fn document(_: &mut Components, operation: &mut Operation) {
        operation.parameters.extend([parameter(XTimeZone::NAME), parameter("Accept-Language")]);
    }

    /// The locale of suggestions: the time zone of the request, or else of the user, and the language of the user, or else
    /// of the request.
    pub(super) fn of_advice(self, caller: &Caller) -> AdviceLocale {
        let language = caller.user.language.clone().or_else(|| caller.preferred_language());
        AdviceLocale { time_zone: self.time_zone.or_else(|| caller.user.time_zone.clone()), language }
    }
}

extractor!(RequestLocale);

/// Returns the helplines of the caller's country when a text mentions suicide or self-harm, else nothing.
///
/// # Errors
/// 429 and 503 when too many texts wait to be searched. Nothing is stored then.
pub(super) async fn helplines<'a>(
    locale: RequestLocale,
    caller: &Caller,
    texts: impl IntoIterator<Item = &'a String>,
) -> Result<Vec<String>, Problem> {
    let AdviceLocale { time_zone, language } = locale.of_advice(caller);
    let texts = texts.into_iter().cloned().collect();
    Ok(crisis::helplines(caller.user.id, texts, time_zone.as_deref(), language.as_deref()).await?)
}
