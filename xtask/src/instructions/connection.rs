//! A connection that is kept for many requests.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Under callgrind a request may wait for a busy disk and a busy core.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The bytes of a request.
pub(super) struct Request(String);

impl Request {
    pub(super) fn get(path: &str, bearer: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {bearer}\r\n\r\n"))
    }

    pub(super) fn post(path: &str, bearer: &str, body: &Value) -> Self {
        let body = body.to_string();
        let length = body.len();
        Self(format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {bearer}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }
}

pub(super) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(super) fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request and reads its response. Any other status than 2xx is an error.
    pub(super) fn send(&mut self, request: &Request) -> Result<()> {
        self.0.get_mut().write_all(request.0.as_bytes())?;
        read(&mut self.0)
    }
}

fn read(stream: &mut impl BufRead) -> Result<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        ensure!(stream.read_line(&mut head)? > 0, "the connection was closed");
    }
    let mut body = vec![0; length(&head).context("a response without Content-Length")?];
    stream.read_exact(&mut body)?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 2"), "{status}: {}", String::from_utf8_lossy(&body));
    Ok(())
}

fn length(head: &str) -> Option<usize> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut values = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    values.next()?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_read_one_after_the_other() {
        let mut stream =
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 503 Busy\r\ncontent-length: 3\r\n\r\nno."
                .as_bytes();
        read(&mut stream).expect("the first is a 200");
        assert_eq!(read(&mut stream).expect_err("the second is a 503").to_string(), "HTTP/1.1 503 Busy: no.");
        assert_eq!(read(&mut stream).expect_err("there is no third").to_string(), "the connection was closed");
    }
}
