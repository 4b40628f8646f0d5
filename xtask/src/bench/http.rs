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

/// The head without its first line, and the body.
pub(crate) fn response(port: u16, path: &str) -> Result<String> {
    let text = exchange(port, &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"))?;
    text.split_once("\r\n").map(|(_, rest)| rest.to_owned()).context("no HTTP response")
}

/// The content type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// Posts JSON and gives the JSON of a 2xx response.
pub(crate) fn post(port: u16, path: &str, bearer: &str, body: &Value) -> Result<Value> {
    post_as(port, path, "application/json", &format!("Authorization: Bearer {bearer}\r\n"), &body.to_string())
}

/// Posts a form and gives the JSON of a 2xx response.
pub(crate) fn post_form(port: u16, path: &str, form: &str) -> Result<Value> {
    post_as(port, path, FORM, "", form)
}

fn post_as(port: u16, path: &str, kind: &str, headers: &str, body: &str) -> Result<Value> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.0\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{headers}\r\n");
    request(port, &(head + body)).with_context(|| format!("POST {path}"))
}

/// Uses HTTP/1.0, whose responses are never chunked and end with the connection.
fn request(port: u16, request: &str) -> Result<Value> {
    let response = exchange(port, request)?;
    let (head, body) = response.split_once("\r\n\r\n").context("no HTTP response")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        bail!("answered {status}: {body}");
    }
    serde_json::from_str(body).with_context(|| format!("not JSON: {body}"))
}

fn exchange(port: u16, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}
