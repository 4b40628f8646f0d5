//! An SMTP server that keeps what it receives, and whose replies a test sets.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use faceofmind_platform::mail::{SmtpSettings, SmtpTls, Transport};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use super::Received;

/// The reply to a mail to that address. An empty reply means that the server says nothing more. [`HANG_UP`] means that it closes.
type Rule = dyn Fn(&str) -> &'static str + Send + Sync;

/// Instead of a reply: the connection ends after the mail, which may have been accepted.
pub(crate) const HANG_UP: &str = "hang up";

/// An SMTP server without encryption or password.
pub(crate) struct MailServer {
    port: u16,
    state: Arc<State>,
    accepting: AbortHandle,
}

struct State {
    mails: Mutex<Vec<Received>>,
    rule: Mutex<Arc<Rule>>,
}

impl MailServer {
    /// Starts a server that accepts everything.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let rule: Arc<Rule> = Arc::new(|_: &str| "250 accepted");
        let state = Arc::new(State { mails: Mutex::default(), rule: Mutex::new(rule) });
        let served = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&served)));
            }
        });
        Self { port, state, accepting: accepting.abort_handle() }
    }

    /// Refuses connections from now on.
    pub(crate) fn stop(&self) {
        self.accepting.abort();
    }

    /// Sets the reply to each mail from now on.
    pub(crate) fn answers(&self, rule: impl Fn(&str) -> &'static str + Send + Sync + 'static) {
        *self.state.rule.lock().expect("no test panicked with it") = Arc::new(rule);
    }

    /// Returns every mail that was received in full, whatever the reply, oldest first.
    pub(crate) fn mails(&self) -> Vec<Received> {
        self.state.mails.lock().expect("no test panicked with it").clone()
    }

    pub(crate) fn transport(&self) -> Transport {
        let settings = SmtpSettings {
            host: "127.0.0.1".into(),
            port: self.port,
            tls: SmtpTls::None,
            username: String::new(),
            password: None,
            timeout: Duration::from_secs(30),
        };
        Transport::smtp(settings).expect("no certificates needed")
    }
}

async fn serve(client: TcpStream, state: Arc<State>) -> Option<()> {
    let mut stream = BufReader::new(client);
    stream.write_all(b"220 ready\r\n").await.ok()?;
    loop {
        let line = line(&mut stream).await?;
        stream.write_all(if line == "DATA\r\n" { b"354 continue\r\n" } else { b"250 ok\r\n" }).await.ok()?;
        if line == "DATA\r\n" {
            let mail = mail(&mut stream).await?;
            let answer = state.rule.lock().expect("no test panicked with it").clone()(&mail.to);
            state.mails.lock().expect("no test panicked with it").push(mail);
            match answer {
                "" => std::future::pending().await,
                HANG_UP => return None,
                _ => {}
            }
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
    }
}

async fn mail(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut text = String::new();
    loop {
        match line(stream).await?.as_str() {
            ".\r\n" => return Some(Received::parse(text.as_bytes())),
            line => text.push_str(line),
        }
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then_some(line)
}
