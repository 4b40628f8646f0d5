//! Time zones in requests: the header `X-Time-Zone`, and the `time_zone` of a user.

use jiff::tz::TimeZone;
use salvo::oapi::{BasicType, Object, RefOr, Schema};

use super::{
    header::HeaderField,
    validators::{ErrorMessage, FieldType, RawValue, parse},
};

/// The header `X-Time-Zone`, which says where days begin and end.
pub struct XTimeZone;

impl HeaderField for XTimeZone {
    const NAME: &'static str = "X-Time-Zone";
    const DESCRIPTION: &'static str =
        "The IANA time zone in which days begin and end. By default the user's own, or else the service's.";
    const EXAMPLE: Option<&'static str> = Some("Asia/Manila");
    const REPEATED: &'static str = "must be given once";
}

impl FieldType for XTimeZone {
    type Value = TimeZone;

    fn read(raw: RawValue) -> Result<TimeZone, ErrorMessage> {
        find(&raw.into_text()?)
    }
}

/// A field with the name of a time zone, spelled as the IANA database spells it.
pub struct TimeZoneName;

impl FieldType for TimeZoneName {
    type Value = String;

    fn read(raw: RawValue) -> Result<String, ErrorMessage> {
        parse(raw, |name| find(name).map(|zone| zone.iana_name().unwrap_or(name).to_owned()))
    }

    fn schema() -> RefOr<Schema> {
        Object::with_type(BasicType::String).example("Asia/Manila").into()
    }
}

/// The time zone of this name.
///
/// # Errors
/// When the IANA database does not list it.
pub fn find(name: &str) -> Result<TimeZone, ErrorMessage> {
    let zone = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown());
    zone.ok_or_else(|| "must be a name of the IANA time zone database, such as Asia/Manila".into())
}

#[cfg(test)]
mod tests {
    use salvo::{Router, Writer, oapi::endpoint, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::{
        header::Header,
        testing::{Served, answer},
    };

    const HEADER: &str = XTimeZone::NAME;

    #[endpoint]
    async fn show(zone: Header<XTimeZone>) -> Json<Option<String>> {
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
    async fn an_unknown_zone_is_rejected_under_the_name_of_the_header() {
        let api = Served::api(routes).await;
        for name in ["", "Mars/Olympus", "+08:00", "Etc/Unknown", "../../etc/passwd", "é"] {
            let answer = answer(api.get("/api/zone").header(HEADER, name)).await;
            assert_eq!(answer.status, 422, "for {name}");
            let message = "header.X-Time-Zone: must be a name of the IANA time zone database, such as Asia/Manila";
            assert_eq!(answer.invalid_fields(), [message], "for {name}");
        }
        let twice = answer(api.get("/api/zone").header(HEADER, "UTC").header(HEADER, "UTC")).await;
        assert_eq!(twice.invalid_fields(), ["header.X-Time-Zone: must be given once"]);
    }
}
