//! The HTTP side of an event stream: the header that resumes one, and the response that does not end.

use futures_util::stream::poll_fn;
use salvo::{
    Depot, Request, Response, Writer, async_trait,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    oapi::{
        BasicType, Components, Content, EndpointOutRegister, Header, Object, Operation, RefOr, Response as Described,
        Schema,
    },
};
use tokio::sync::mpsc;

use crate::http::{
    header::HeaderField,
    validators::{ErrorMessage, FieldType, RawValue},
};

const EVENT_STREAM: &str = "text/event-stream";
/// Tells nginx not to buffer the response.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The header `Last-Event-ID`: the position after which the stream continues. Browsers send it empty before the first event.
pub(super) struct LastEventId;

impl HeaderField for LastEventId {
    const NAME: &'static str = "Last-Event-ID";
    const DESCRIPTION: &'static str = "The last `id` of an earlier stream, after which this one continues. Without it, \
        the stream begins with new events.";
    const EXAMPLE: Option<&'static str> = Some("4711");
    const REPEATED: &'static str = "must be an id of this stream, given once";
    const EMPTY_IS_ABSENT: bool = true;
}

impl FieldType for LastEventId {
    type Value = i64;

    fn read(raw: RawValue) -> Result<i64, ErrorMessage> {
        let text = raw.into_text()?;
        let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse().ok()).ok_or(Self::REPEATED.into())
    }

    fn schema() -> RefOr<Schema> {
        Object::with_type(BasicType::String).pattern("^[0-9]*$").into()
    }
}

/// 200 with an event stream, which ends when its sender is dropped.
#[derive(Debug)]
pub(super) struct EventStream(mpsc::Receiver<String>);

impl EventStream {
    /// A stream and the sender of its frames, of which `buffer` may wait for the client.
    pub(super) fn new(buffer: usize) -> (mpsc::Sender<String>, Self) {
        let (frames, stream) = mpsc::channel(buffer);
        (frames, Self(stream))
    }
}

#[async_trait]
impl Writer for EventStream {
    async fn write(mut self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        res.status_code(StatusCode::OK);
        res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
        res.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        res.headers_mut().insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        res.stream(poll_fn(move |context| self.0.poll_recv(context).map(|frame| frame.map(Ok::<_, std::io::Error>))));
    }
}

impl EndpointOutRegister for EventStream {
    fn register(_components: &mut Components, operation: &mut Operation) {
        let example = "event: faceofmind.v1.session.ended\ndata: {\"specversion\":\"1.0\", …}\nid: 4711\n\n";
        let content = Content::new(Object::with_type(BasicType::String)).example(example.into());
        let unbuffered = Header::new(Object::with_type(BasicType::String).enum_values(["no"]));
        let unbuffered = unbuffered.required(true).description("Proxies such as nginx pass each event on at once");
        let response = Described::new("A stream of events").add_content(EVENT_STREAM, content);
        operation.responses.insert("200", response.add_header("X-Accel-Buffering", unbuffered));
    }
}

#[cfg(test)]
mod tests {
    use salvo::{Router, oapi::endpoint, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::{
        header::Header,
        testing::{Served, answer},
    };

    const HEADER: &str = LastEventId::NAME;

    #[endpoint]
    async fn after(resume: Header<LastEventId>) -> Json<Option<i64>> {
        Json(resume.0)
    }

    fn routes() -> Router {
        Router::with_path("api/events").get(after)
    }

    #[tokio::test]
    async fn the_last_event_id_is_a_position_given_once_or_absent() {
        let api = Served::api(routes).await;
        for (given, position) in [(vec![], json!(null)), (vec![""], json!(null)), (vec!["4711"], json!(4711))] {
            let request = given.iter().fold(api.get("/api/events"), |request, id| request.header(HEADER, *id));
            assert_eq!(answer(request).await.json, position, "for {given:?}");
        }
        for given in [vec!["x"], vec!["-1"], vec!["1.5"], vec!["99999999999999999999"], vec!["1", "2"]] {
            let request = given.iter().fold(api.get("/api/events"), |request, id| request.header(HEADER, *id));
            let rejected = answer(request).await;
            assert_eq!((rejected.status, rejected.invalid_fields().len()), (422, 1), "for {given:?}");
        }
    }
}
