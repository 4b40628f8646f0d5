//! Lists that are arrays, page by page: the query says which part, and the header `Link` where the next page begins.

use faceofmind_model::{PageRequest, UserId};
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
    cursor::Cursor,
    fields::request,
    validators::{Clamped, Offset},
};

request! {
    /// Which part of a list to return, newest first. Clients that know nothing of pages get the largest page.
    pub struct PageQuery {
        /// Where the page begins: `after` in the `Link` of the previous page.
        after: Option<Cursor>,
        /// How many items to skip from there.
        skip: Offset = 0,
        /// The size of the page, 1 to 100; 100 by default. Larger means 100.
        limit: Clamped<1, 100> = 100,
    }
}

impl PageQuery {
    /// What to ask an actor for on behalf of this user.
    pub fn request<Id>(self, reader: UserId, id: impl FnOnce(i64) -> Id) -> PageRequest<Id> {
        PageRequest { reader, after: self.after.map(id), skip: self.skip, limit: self.limit }
    }
}

/// A page: the body is the array, and `Link` (RFC 8288) has the relation `next` when another page follows.
#[derive(Debug)]
pub struct Page<T> {
    items: Vec<T>,
    limit: u32,
    next: Option<i64>,
}

impl<T> Page<T> {
    /// The page of at most `limit` items. `next` is the key of its last item when another page follows.
    pub fn new(limit: u32, items: impl Iterator<Item = T>, next: Option<i64>) -> Self {
        Self { items: items.collect(), limit, next }
    }
}

/// Adds `Link` when another page follows the item of that key.
pub fn set_link(res: &mut Response, limit: u32, next: Option<i64>) {
    // A reference without a path resolves against the address that the client called, whatever a proxy does to paths.
    let link = |key| format!("<?limit={limit}&after={}>; rel=\"next\"", Cursor::encode(key));
    if let Some(link) = next.and_then(|key| HeaderValue::try_from(link(key)).ok()) {
        res.headers_mut().insert(LINK, link);
    }
}

#[async_trait]
impl<T: Serialize + Send> Writer for Page<T> {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        set_link(res, self.limit, self.next);
        res.render(Json(self.items));
    }
}

impl<T: ToSchema + 'static> EndpointOutRegister for Page<T> {
    fn register(components: &mut Components, operation: &mut Operation) {
        let content = Content::new(Vec::<T>::to_schema(components));
        let link = Header::new(Object::with_type(BasicType::String))
            .description("`<?limit=…&after=…>; rel=\"next\"` when another page follows (RFC 8288)");
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
    async fn list(query: Query<PageQuery>) -> Page<i64> {
        let PageQuery { after, skip, limit } = query.0;
        let first = after.unwrap_or(11) - i64::from(skip);
        let last = (first - i64::from(limit)).max(1);
        Page::new(limit, (last..first).rev(), (last > 1).then_some(last))
    }

    fn routes() -> Router {
        Router::with_path("api/numbers").get(list)
    }

    #[tokio::test]
    async fn a_client_that_follows_the_links_reads_the_whole_list_once() {
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
    async fn a_list_without_parameters_has_the_largest_page_and_the_last_page_no_link() {
        let api = Served::api(routes).await;
        let all = answer(api.get("/api/numbers?limit=5000")).await;
        assert_eq!((all.json.as_array().map(Vec::len), all.headers.get("link")), (Some(10), None));
        let some = answer(api.get("/api/numbers?skip=8")).await;
        assert_eq!(some.json, json!([2, 1]));
    }

    #[tokio::test]
    async fn every_bad_parameter_is_named() {
        let api = Served::api(routes).await;
        let rejected = answer(api.get("/api/numbers?after=7&skip=-1&limit=0")).await;
        assert_eq!(rejected.status, 422);
        assert_eq!(rejected.invalid_fields().len(), 3, "{}", rejected.json);
    }

    #[test]
    fn a_page_is_documented_with_its_link() {
        let document = serde_json::to_value(document(&routes())).expect("JSON");
        let page = &document["paths"]["/api/numbers"]["get"]["responses"]["200"];
        assert_eq!(page["content"]["application/json"]["schema"]["type"], "array");
        assert_eq!(page["headers"]["Link"]["schema"]["type"], "string");
    }
}
