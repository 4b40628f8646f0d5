//! What an event stream is in HTTP: the header that resumes one, and the answer that does not end.

use std::fmt::Debug;

use futures_util::stream::poll_fn;
use salvo::{
    Depot, Extractible, Request, Response, Writer, async_trait,
    extract::Metadata,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    oapi::{
        BasicType, Components, Content, EndpointArgRegister, EndpointOutRegister, Object, Operation, Parameter,
        ParameterIn, Required, Response as Described,
    },
};
use tokio::sync::mpsc;

use crate::http::{
    no_metadata,
    openapi::may_answer,
    problem::{FieldError, Loc, Problem},
};

const HEADER: &str = "Last-Event-ID";
const EVENT_STREAM: &str = "text/event-stream";
/// nginx holds answers back to fill its buffers, unless told so.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// After which position to go on, if the reader says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastEventId(pub(super) Option<i64>);

impl LastEventId {
    /// # Errors
    /// 422 unless it is an `id` as streams give it, given once. An empty one is none, as readers have before the first.
    fn read(req: &Request) -> Result<Self, Problem> {
        let mut given = req.headers().get_all(HEADER).iter();
        let Some(first) = given.next().filter(|first| !first.is_empty()) else { return Ok(Self(None)) };
        let digits = first.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let position = digits.and_then(|digits| digits.parse().ok()).filter(|_| given.next().is_none());
        position.map(|position| Self(Some(position))).ok_or_else(refusal)
    }
}

fn refusal() -> Problem {
    let loc = vec![Loc::Name("header".into()), Loc::Name(HEADER.into())];
    Problem::invalid(vec![FieldError { loc, msg: "must be an id of this stream, given once".into() }])
}

impl<'ex> Extractible<'ex> for LastEventId {
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

impl EndpointArgRegister for LastEventId {
    fn register(components: &mut Components, operation: &mut Operation, _arg: &str) {
        let parameter = Parameter::new(HEADER)
            .location(ParameterIn::Header)
            .required(Required::False)
            .description("The last `id` of an earlier stream: this one goes on after it. Without it, from now on.")
            .example("4711".into())
            .schema(Object::with_type(BasicType::String));
        operation.parameters.insert(parameter);
        may_answer(components, operation, &[StatusCode::UNPROCESSABLE_ENTITY]);
    }
}

/// 200 with an event stream, which ends when its sender is dropped.
#[derive(Debug)]
pub(super) struct EventStream(mpsc::Receiver<String>);

impl EventStream {
    /// A stream, and where its frames go in. So many wait for the reader.
    pub(super) fn new(waiting: usize) -> (mpsc::Sender<String>, Self) {
        let (frames, stream) = mpsc::channel(waiting);
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
        operation.responses.insert("200", Described::new("A stream of events").add_content(EVENT_STREAM, content));
    }
}

#[cfg(test)]
mod tests {
    use salvo::{Router, oapi::endpoint, writing::Json};
    use serde_json::json;

    use super::*;
    use crate::http::testing::{Served, answer};

    #[endpoint]
    async fn after(resume: LastEventId) -> Json<Option<i64>> {
        Json(resume.0)
    }

    fn routes() -> Router {
        Router::with_path("api/events").get(after)
    }

    #[tokio::test]
    async fn the_last_id_is_a_position_given_once_or_nothing() {
        let api = Served::api(routes).await;
        for (given, position) in [(vec![], json!(null)), (vec![""], json!(null)), (vec!["4711"], json!(4711))] {
            let request = given.iter().fold(api.get("/api/events"), |request, id| request.header(HEADER, *id));
            assert_eq!(answer(request).await.json, position, "for {given:?}");
        }
        for given in [vec!["x"], vec!["-1"], vec!["1.5"], vec!["99999999999999999999"], vec!["1", "2"]] {
            let request = given.iter().fold(api.get("/api/events"), |request, id| request.header(HEADER, *id));
            let refused = answer(request).await;
            assert_eq!((refused.status, refused.refused().len()), (422, 1), "for {given:?}");
        }
    }
}
