//! A minimal NATS client for measurements.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(30);
const INBOX: &str = "_INBOX.bench";

/// A connection with one user of one account.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Client {
    /// `url` is `nats://user:password@host:port`.
    pub(crate) fn connect(url: &str) -> Result<Self> {
        let (login, address) = url.trim_start_matches("nats://").split_once('@').context("no user in the URL")?;
        let (user, password) = login.split_once(':').context("no password in the URL")?;
        let writer = TcpStream::connect(address).context("cannot connect to NATS")?;
        writer.set_nodelay(true)?;
        writer.set_read_timeout(Some(TIMEOUT))?;
        let mut client = Self { reader: BufReader::new(writer.try_clone()?), writer };
        let login = json!({ "verbose": false, "headers": true, "user": user, "pass": password });
        client.send(format!("CONNECT {login}\r\nSUB {INBOX} 1\r\n").as_bytes())?;
        Ok(client)
    }

    /// Creates a push consumer of future messages. [`Client::next`] reads them.
    pub(crate) fn consume(&mut self, stream: &str, filter: &str) -> Result<()> {
        let subject = format!("bench.{stream}");
        self.send(format!("SUB {subject} 2\r\n").as_bytes())?;
        let config = json!({
            "deliver_subject": subject, "deliver_policy": "new", "ack_policy": "none", "filter_subject": filter,
        });
        let request = json!({ "stream_name": stream, "config": config });
        self.request(&format!("$JS.API.CONSUMER.CREATE.{stream}"), &request)
    }

    /// Sends a request to JetStream. A response with an error is an error.
    pub(crate) fn request(&mut self, subject: &str, body: &Value) -> Result<()> {
        let body = body.to_string();
        self.send(format!("PUB {subject} {INBOX} {}\r\n{body}\r\n", body.len()).as_bytes())?;
        // The first messages of a new consumer may come before the response that it was created.
        loop {
            let response: Value = serde_json::from_slice(&self.next()?)?;
            if response["type"].as_str().is_some_and(|kind| kind.starts_with("io.nats.")) {
                ensure!(response.get("error").is_none(), "{subject}: {}", response["error"]);
                return Ok(());
            }
        }
    }

    /// Publishes a message without awaiting an acknowledgement.
    pub(crate) fn publish(&mut self, subject: &str, body: &str) -> Result<()> {
        self.send(format!("PUB {subject} {}\r\n{body}\r\n", body.len()).as_bytes())
    }

    /// The next message's payload.
    pub(crate) fn next(&mut self) -> Result<Vec<u8>> {
        loop {
            let mut line = String::new();
            ensure!(self.reader.read_line(&mut line)? > 0, "NATS ended the connection");
            let words: Vec<_> = line.split_whitespace().collect();
            match words.first().copied() {
                Some("MSG") => return self.payload(0, length(words.last())?),
                Some("HMSG") => return self.payload(length(words.get(words.len() - 2))?, length(words.last())?),
                Some("PING") => self.send(b"PONG\r\n")?,
                Some("-ERR") => bail!("NATS reports an error: {}", line.trim()),
                _ => {}
            }
        }
    }

    /// The payload after `headers` bytes of headers. `length` includes the headers.
    fn payload(&mut self, headers: usize, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length + "\r\n".len()];
        self.reader.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(bytes.split_off(headers))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes).context("cannot send to NATS")
    }
}

fn length(word: Option<&&str>) -> Result<usize> {
    word.and_then(|word| word.parse().ok()).context("not a message of NATS")
}
