//! Counts the requests of each connection.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use salvo::{
    BoxedError, Depot, FlowCtrl, Handler, Request, Response, async_trait,
    http::{Body, ResBody},
    hyper::body::{Bytes, Frame, SizeHint},
};

use super::{connection::RunningRequest, open::OpenConnections};

/// The first handler of a listener: counts each request from its head to the end of its response.
pub(in crate::http) struct CountRequests(pub(in crate::http) Arc<OpenConnections>);

#[async_trait]
impl Handler for CountRequests {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        let connection = req.remote_addr().clone().into_std().and_then(|peer| self.0.find(peer));
        let running = connection.map(|connection| connection.begin(req.version()));
        ctrl.call_next(req, depot, res).await;
        if let Some(running) = running.filter(|_| !is_sent_at_once(&res.body)) {
            let body = std::mem::take(&mut res.body);
            res.body = ResBody::Boxed(Box::pin(RunningBody { body, running }));
        }
    }
}

/// Whether the body fits, with the head, into the send buffer of a socket: 16 KiB is Linux's default (`tcp_wmem`, tcp(7)).
fn is_sent_at_once(body: &ResBody) -> bool {
    match body {
        ResBody::None | ResBody::Error(_) => true,
        ResBody::Once(bytes) => bytes.len() <= 8 << 10,
        _ => false,
    }
}

/// The body of a response, whose request ends with it.
struct RunningBody {
    body: ResBody,
    running: RunningRequest,
}

impl Body for RunningBody {
    type Data = Bytes;
    type Error = BoxedError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxedError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(Some(Err(_)))) {
            self.running.cut();
        }
        frame.map(|frame| frame.map(|frame: Result<_, io::Error>| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
