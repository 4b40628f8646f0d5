//! An endpoint on this machine whose behaviour a test chooses.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

pub(super) const GOOD: &str = "I hear you.\nBreathe out.\nDrink water.\nStep outside.\nWrite it down.";

/// How it answers a request.
#[derive(Clone, Debug)]
pub(super) enum Behaviour {
    /// With this text as the completion.
    Says(&'static str),
    /// With this status, and this body.
    Raw(u16, String),
    /// With the head and half of the body. Then it sends nothing.
    StopsHalfway,
    /// With the head and half of the body. Then it closes the connection.
    BreaksOff,
    /// With a body that never ends.
    Floods,
    /// Not at all.
    Hangs,
    /// With this text, once the gate is open.
    SaysWhenOpened(&'static str),
    /// With a redirect to itself.
    Redirects,
}

#[derive(Debug)]
pub(super) struct StandIn {
    pub(super) url: String,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    behaviour: Mutex<Behaviour>,
    requests: Mutex<Vec<String>>,
    gate: watch::Sender<bool>,
}

impl StandIn {
    pub(super) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/v1", listener.local_addr().expect("bound"));
        let state = Arc::new(State {
            behaviour: Mutex::new(behaviour),
            requests: Mutex::default(),
            gate: watch::Sender::new(false),
        });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&serving)));
            }
        });
        Self { url, state }
    }

    pub(super) fn answers(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock().expect("no test panicked with it") = behaviour;
    }

    pub(super) fn open(&self) {
        self.state.gate.send_replace(true);
    }

    /// The heads and bodies of the requests, in order.
    pub(super) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().expect("no test panicked with it").clone()
    }

    pub(super) fn request_count(&self) -> usize {
        self.requests().len()
    }
}

async fn serve(client: TcpStream, state: Arc<State>) -> Option<()> {
    let mut stream = BufReader::new(client);
    loop {
        let request = request(&mut stream).await?;
        state.requests.lock().expect("no test panicked with it").push(request);
        let behaviour = state.behaviour.lock().expect("no test panicked with it").clone();
        let answer = match behaviour {
            Behaviour::Says(text) => whole(200, &completion(text)),
            Behaviour::Raw(status, body) => whole(status, &body),
            Behaviour::Redirects => {
                "HTTP/1.1 307 x\r\nlocation: /v1/chat/completions\r\ncontent-length: 0\r\n\r\n".to_owned()
            }
            Behaviour::SaysWhenOpened(text) => {
                state.gate.subscribe().wait_for(|open| *open).await.ok()?;
                whole(200, &completion(text))
            }
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::StopsHalfway => {
                half(&mut stream).await?;
                std::future::pending().await
            }
            Behaviour::BreaksOff => return half(&mut stream).await,
            Behaviour::Floods => return flood(&mut stream).await,
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
