//! A minimal HTTP client for the preparation of measurements.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn get(port: u16, path: &str) -> Result<Value> {
    request(port, &format!("GET {path} HTTP/1.0\r\n\r\n"))
}

/// Posts JSON and gives the JSON of a 2xx response.
pub(crate) fn post(port: u16, path: &str, bearer: &str, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nAuthorization: Bearer {bearer}\r\n\r\n"
    );
    request(port, &(head + &body)).with_context(|| format!("POST {path}"))
}

/// Uses HTTP/1.0, whose responses are never chunked and end with the connection.
fn request(port: u16, request: &str) -> Result<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (head, body) = response.split_once("\r\n\r\n").context("no HTTP response")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        bail!("answered {status}: {body}");
    }
    serde_json::from_str(body).with_context(|| format!("not JSON: {body}"))
}
