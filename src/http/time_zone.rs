//! `X-Time-Zone`: where a day begins and ends for who asks.

use std::fmt::Debug;

use jiff::tz::TimeZone;
use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    http::StatusCode,
    oapi::{BasicType, Components, EndpointArgRegister, Object, Operation, Parameter, ParameterIn, Required},
};

use super::{
    caller::Caller,
    kinds::Refusal,
    no_metadata,
    openapi::may_answer,
    problem::{FieldError, Loc, Problem},
};

const HEADER: &str = "X-Time-Zone";

/// The zone that a request names, if it names one.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestZone(Option<TimeZone>);

impl RequestZone {
    /// The zone of the request, else the one in the caller's settings, if there is one.
    pub fn or_of(self, caller: &Caller) -> Option<TimeZone> {
        let own = || caller.user.time_zone.as_deref().and_then(|name| known(name).ok());
        self.0.or_else(own)
    }

    /// # Errors
    /// 422 unless it is a known name, given once.
    fn read(req: &Request) -> Result<Self, Problem> {
        let mut given = req.headers().get_all(HEADER).iter();
        let Some(first) = given.next() else { return Ok(Self(None)) };
        let name = first.to_str().unwrap_or_default();
        match known(name) {
            Ok(zone) if given.next().is_none() => Ok(Self(Some(zone))),
            Ok(_) => Err(refusal("must be given once".into())),
            Err(why) => Err(refusal(why)),
        }
    }
}

/// The zone of this name.
///
/// # Errors
/// In words, when the IANA database has none.
pub fn known(name: &str) -> Result<TimeZone, Refusal> {
    let zone = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown());
    zone.ok_or_else(|| "must be a name of the IANA time zone database, such as Asia/Manila".into())
}

fn refusal(msg: Refusal) -> Problem {
    let loc = vec![Loc::Name("header".into()), Loc::Name(HEADER.into())];
    Problem::invalid(vec![FieldError { loc, msg }])
}

impl<'ex> Extractible<'ex> for RequestZone {
    fn metadata() -> &'static Metadata {
        no_metadata()
    }

    async fn extract(
        req: &'ex mut Request,
        _depot: &'ex mut Depot,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Self::read(req)
    }
}

impl EndpointArgRegister for RequestZone {
    fn register(components: &mut Components, operation: &mut Operation, _arg: &str) {
        let parameter = Parameter::new(HEADER)
            .location(ParameterIn::Header)
            .required(Required::False)
            .description("Days are cut in this IANA time zone; unless told, in the user's own, or the service's.")
            .example("Asia/Manila".into())
            .schema(Object::with_type(BasicType::String));
        operation.parameters.insert(parameter);
        may_answer(components, operation, &[StatusCode::UNPROCESSABLE_ENTITY]);
    }
}

#[cfg(test)]
mod tests {
    use salvo::{Router, oapi::endpoint, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Served, answer};

    #[endpoint]
    async fn show(zone: RequestZone) -> Json<Option<String>> {
        Json(zone.0.and_then(|zone| zone.iana_name().map(str::to_owned)))
    }

    fn routes() -> Router {
        Router::with_path("api/zone").get(show)
    }

    #[tokio::test]
    async fn a_request_may_name_a_zone() {
        let api = Served::api(routes).await;
        assert_eq!(answer(api.get("/api/zone")).await.json, json!(null));
        for name in ["Asia/Manila", "America/Argentina/Buenos_Aires", "UTC"] {
            assert_eq!(answer(api.get("/api/zone").header(HEADER, name)).await.json, json!(name));
        }
    }

    #[tokio::test]
    async fn what_is_no_zone_is_refused_by_the_name_of_the_header() {
        let api = Served::api(routes).await;
        for name in ["", "Mars/Olympus", "+08:00", "Etc/Unknown", "../../etc/passwd", "é"] {
            let answer = answer(api.get("/api/zone").header(HEADER, name)).await;
            assert_eq!(answer.status, 422, "for {name}");
            let refusal = "header.X-Time-Zone: must be a name of the IANA time zone database, such as Asia/Manila";
            assert_eq!(answer.refused(), [refusal], "for {name}");
        }
        let twice = answer(api.get("/api/zone").header(HEADER, "UTC").header(HEADER, "UTC")).await;
        assert_eq!(twice.refused(), ["header.X-Time-Zone: must be given once"]);
    }
}
