//! Lists that are arrays, page by page: which part is wanted, and in `Link` where the next one begins.

use salvo::{
    Depot, Request, Response, Writer, async_trait,
    http::{HeaderValue, header::LINK},
    oapi::{
        BasicType, Components, Content, EndpointOutRegister, Header, Object, Operation, Response as Described, ToSchema,
    },
    writing::Json,
};
use serde::Serialize;

use super::{
    cursor,
    fields::{Fields, FromFields, Read},
    kinds::{capped, integer, parsed},
};

/// Which part of a list, newest first. A client that knows of no pages gets as much as there may be.
#[derive(Clone, Copy, Debug, ToSchema)]
pub struct Wanted {
    /// Where the page begins: taken from the `Link` of the page before.
    #[salvo(schema(value_type = Option<String>))]
    pub after: Option<i64>,
    /// How many to leave out from there.
    #[salvo(schema(value_type = Option<i64>, minimum = 0))]
    pub skip: u32,
    /// How many, 1 to 100; 100 unless told.
    #[salvo(schema(value_type = Option<i64>, minimum = 1, maximum = 100))]
    pub limit: u32,
}

impl FromFields for Wanted {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let after = fields.optional("after", parsed(cursor::read));
        let skip = fields.or("skip", 0, integer(0..=i64::from(u32::MAX)));
        let limit = fields.or("limit", 100, capped(1..=100));
        fields.finish(|valid| Self {
            after: after.get(valid),
            skip: u32::try_from(skip.get(valid)).unwrap_or(u32::MAX),
            limit: u32::try_from(limit.get(valid)).unwrap_or(u32::MAX),
        })
    }
}

/// Which part of a list, newest first, by places alone: of what is one person's, and seldom much.
#[derive(Clone, Copy, Debug, ToSchema)]
pub struct Part {
    /// How many of the newest to leave out.
    #[salvo(schema(value_type = Option<i64>, minimum = 0))]
    pub skip: u32,
    /// How many, 1 to 100.
    #[salvo(schema(value_type = Option<i64>, minimum = 1, maximum = 100))]
    pub limit: Option<u32>,
}

impl FromFields for Part {
    fn from_fields(fields: &mut Fields<'_>) -> Read<Self> {
        let skip = fields.or("skip", 0, integer(0..=i64::from(u32::MAX)));
        let limit = fields.optional("limit", capped(1..=100));
        fields.finish(|valid| Self {
            skip: u32::try_from(skip.get(valid)).unwrap_or(u32::MAX),
            limit: limit.get(valid).map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
        })
    }
}

/// A page: the array alone in the body, and `Link` (RFC 8288) with the relation `next` where another follows.
#[derive(Debug)]
pub struct Listed<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl<T> Listed<T> {
    /// The page that was wanted. `next` is the key of its last item where another page follows.
    pub fn new(wanted: Wanted, items: impl Iterator<Item = T>, next: Option<i64>) -> Self {
        // The query alone: whatever path a proxy shows to the client, it is the list's.
        let link = |key| format!("<?limit={}&after={}>; rel=\"next\"", wanted.limit, cursor::write(key));
        Self { items: items.collect(), next: next.map(link) }
    }
}

#[async_trait]
impl<T: Serialize + Send> Writer for Listed<T> {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        if let Some(link) = self.next.and_then(|link| HeaderValue::try_from(link).ok()) {
            res.headers_mut().insert(LINK, link);
        }
        res.render(Json(self.items));
    }
}

impl<T: ToSchema + 'static> EndpointOutRegister for Listed<T> {
    fn register(components: &mut Components, operation: &mut Operation) {
        let content = Content::new(Vec::<T>::to_schema(components));
        let link = Header::new(Object::with_type(BasicType::String))
            .description("`<?limit=…&after=…>; rel=\"next\"` where another page follows (RFC 8288)");
        let page = Described::new("A page").add_content("application/json", content).add_header("Link", link);
        operation.responses.insert("200", page);
    }
}

#[cfg(test)]
mod tests {
    use salvo::{Router, oapi::endpoint};
    use serde_json::{Value, json};

    use super::*;
    use crate::http::{
        openapi::document,
        query::Query,
        testing::{Served, answer},
    };

    /// Counts down from 10.
    #[endpoint]
    async fn list(wanted: Query<Wanted>) -> Listed<i64> {
        let Wanted { after, skip, limit } = wanted.0;
        let first = after.unwrap_or(11) - i64::from(skip);
        let last = (first - i64::from(limit)).max(1);
        Listed::new(wanted.0, (last..first).rev(), (last > 1).then_some(last))
    }

    fn routes() -> Router {
        Router::with_path("api/numbers").get(list)
    }

    #[tokio::test]
    async fn whoever_follows_the_links_reads_all_of_a_list_once() {
        let api = Served::api(routes).await;
        let (mut read, mut query) = (Vec::new(), "?limit=4".to_owned());
        loop {
            let page = answer(api.get(&format!("/api/numbers{query}"))).await;
            read.extend(page.json.as_array().expect("an array").iter().filter_map(Value::as_i64));
            let Some(link) = page.headers.get("link") else { break };
            let link = link.to_str().expect("text").strip_suffix(">; rel=\"next\"").expect("a next link");
            query = link.strip_prefix('<').expect("a reference").to_owned();
        }
        assert_eq!(read, (1..=10).rev().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_list_without_a_word_is_as_long_as_may_be_and_has_no_next() {
        let api = Served::api(routes).await;
        let all = answer(api.get("/api/numbers?limit=5000")).await;
        assert_eq!((all.json.as_array().map(Vec::len), all.headers.get("link")), (Some(10), None));
        let some = answer(api.get("/api/numbers?skip=8")).await;
        assert_eq!(some.json, json!([2, 1]));
    }

    #[tokio::test]
    async fn every_bad_parameter_is_named() {
        let api = Served::api(routes).await;
        let refused = answer(api.get("/api/numbers?after=7&skip=-1&limit=0")).await;
        assert_eq!(refused.status, 422);
        assert_eq!(refused.refused().len(), 3, "{}", refused.json);
    }

    #[test]
    fn a_page_is_documented_with_its_link() {
        let document = serde_json::to_value(document(&routes())).expect("JSON");
        let page = &document["paths"]["/api/numbers"]["get"]["responses"]["200"];
        assert_eq!(page["content"]["application/json"]["schema"]["type"], "array");
        assert_eq!(page["headers"]["Link"]["schema"]["type"], "string");
    }
}
