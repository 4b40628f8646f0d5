//! Plain hyper: no routes, no log.

use std::{convert::Infallible, fs, net::Ipv4Addr, path::Path};

use anyhow::{Context as _, Result};
use http_body_util::Full;
use hyper::{
    HeaderMap, Response,
    body::Bytes,
    header::{HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

pub(crate) async fn serve(port: u16, response: &Path) -> Result<()> {
    let answer = read(response)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve_connection(stream, answer.clone()));
    }
}

async fn serve_connection(stream: TcpStream, (headers, body): (HeaderMap, Bytes)) {
    let answer = service_fn(|_| {
        let mut response = Response::new(Full::new(body.clone()));
        *response.headers_mut() = headers.clone();
        async { Ok::<_, Infallible>(response) }
    });
    let _client_has_gone = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

fn read(response: &Path) -> Result<(HeaderMap, Bytes)> {
    let text = fs::read_to_string(response).with_context(|| format!("cannot read {}", response.display()))?;
    let (head, body) = text.split_once("\n\n").context("no body")?;
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").context("no header")?;
        anyhow::Ok((name.parse::<HeaderName>()?, HeaderValue::from_str(value)?))
    };
    Ok((head.lines().map(header).collect::<Result<_>>()?, Bytes::from(body.to_owned())))
}
