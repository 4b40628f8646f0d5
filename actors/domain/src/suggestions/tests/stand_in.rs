//! An endpoint on this machine that answers as it is told.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

pub(super) const GOOD: &str = "I hear you.\nBreathe out.\nDrink water.\nStep outside.\nWrite it down.";

/// How it answers.
#[derive(Clone, Debug)]
pub(super) enum Manner {
    /// With this text as the completion.
    Says(&'static str),
    /// With this status, and this body.
    Raw(u16, String),
    /// With the head and half of the body, then silence.
    StopsHalfway,
    /// With the head and half of the body, then the end.
    BreaksOff,
    /// With a body that never ends.
    Floods,
    /// Not at all.
    Hangs,
    /// With this text, when the gate is opened.
    SaysWhenOpened(&'static str),
    /// By pointing to itself.
    Redirects,
}

#[derive(Debug)]
pub(super) struct StandIn {
    pub(super) url: String,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    manner: Mutex<Manner>,
    requests: Mutex<Vec<String>>,
    gate: watch::Sender<bool>,
}

impl StandIn {
    pub(super) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/v1", listener.local_addr().expect("bound"));
        let state =
            Arc::new(State { manner: Mutex::new(manner), requests: Mutex::default(), gate: watch::Sender::new(false) });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(talk(client, Arc::clone(&serving)));
            }
        });
        Self { url, state }
    }

    pub(super) fn answers(&self, manner: Manner) {
        *self.state.manner.lock().expect("no test panicked with it") = manner;
    }

    pub(super) fn open(&self) {
        self.state.gate.send_replace(true);
    }

    /// The heads and bodies that came, in their order.
    pub(super) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().expect("no test panicked with it").clone()
    }

    pub(super) fn asked(&self) -> usize {
        self.requests().len()
    }
}

async fn talk(client: TcpStream, state: Arc<State>) -> Option<()> {
    let mut stream = BufReader::new(client);
    loop {
        let request = request(&mut stream).await?;
        state.requests.lock().expect("no test panicked with it").push(request);
        let manner = state.manner.lock().expect("no test panicked with it").clone();
        let answer = match manner {
            Manner::Says(text) => whole(200, &completion(text)),
            Manner::Raw(status, body) => whole(status, &body),
            Manner::Redirects => {
                "HTTP/1.1 307 x\r\nlocation: /v1/chat/completions\r\ncontent-length: 0\r\n\r\n".to_owned()
            }
            Manner::SaysWhenOpened(text) => {
                state.gate.subscribe().wait_for(|open| *open).await.ok()?;
                whole(200, &completion(text))
            }
            Manner::Hangs => std::future::pending().await,
            Manner::StopsHalfway => {
                half(&mut stream).await?;
                std::future::pending().await
            }
            Manner::BreaksOff => return half(&mut stream).await,
            Manner::Floods => return flood(&mut stream).await,
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

async fn half(stream: &mut BufReader<TcpStream>) -> Option<()> {
    let answer = whole(200, &completion(GOOD));
    stream.write_all(&answer.as_bytes()[..answer.len() - 20]).await.ok()
}

async fn flood(stream: &mut BufReader<TcpStream>) -> Option<()> {
    stream.write_all(b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
    let chunk = format!("400\r\n{}\r\n", " ".repeat(0x400));
    loop {
        stream.write_all(chunk.as_bytes()).await.ok()?;
    }
}

fn whole(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

pub(super) fn completion(text: &str) -> String {
    json!({ "id": "c", "choices": [{ "index": 0, "message": { "role": "assistant", "content": text } }] }).to_string()
}

async fn request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        let read = stream.read_line(&mut head).await.ok()?;
        let line = head[start..].to_ascii_lowercase();
        if let Some(number) = line.strip_prefix("content-length:") {
            length = number.trim().parse().ok()?;
        }
        match read {
            0 => return None,
            _ if line == "\r\n" => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).ok()?)
}
