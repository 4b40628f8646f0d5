use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use super::*;
use crate::mail::{Transport, render::tests::a_mail};

/// The server's reply to a command (`.` is the end of a mail) on the connection of that number. After an empty reply it stays silent.
type Script = fn(&str, usize) -> &'static str;

/// A mail server that follows a script.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    silent: Arc<Notify>,
}

impl Server {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (connections, silent) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let server = Self { port, connections: connections.clone(), silent: silent.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = connections.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(serve(stream, script, number, silent.clone()));
            }
        });
        server
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn transport(&self, password: Option<&str>, timeout: Duration) -> Transport {
        let settings = SmtpSettings {
            host: "127.0.0.1".into(),
            port: self.port,
            tls: SmtpTls::None,
            username: "no-reply@faceofmind.local".into(),
            password: password.map(Into::into),
            timeout,
        };
        Transport::smtp(settings).expect("no certificates needed")
    }

    fn patient(&self) -> Transport {
        self.transport(None, Duration::from_secs(30))
    }
}

async fn serve(stream: TcpStream, script: Script, number: usize, silent: Arc<Notify>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 ready\r\n").await.ok()?;
    let mut in_mail = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if in_mail && line != "." {
            continue;
        }
        let reply = script(line, number);
        in_mail = reply.starts_with("354");
        if reply.is_empty() {
            silent.notify_one();
            std::future::pending().await
        }
        stream.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?;
    }
}

/// Accepts everything.
fn friendly(line: &str, _: usize) -> &'static str {
    match line {
        "DATA" => "354 go on",
        line if line.starts_with("EHLO") => "250-us\r\n250 AUTH PLAIN",
        line if line.starts_with("AUTH") => "235 welcome",
        _ => "250 fine",
    }
}

fn refuses_us(what: &str) -> SendError {
    SendError::RefusesUs(Reason::new(what))
}

async fn refusal(script: Script) -> SendError {
    let server = Server::start(script).await;
    server.transport(Some("hunter2"), Duration::from_secs(30)).send(&a_mail()).await.expect_err("refused")
}

#[tokio::test]
async fn one_connection_serves_many_mails() {
    let server = Server::start(friendly).await;
    let transport = server.patient();
    for _ in 0..3 {
        transport.send(&a_mail()).await.expect("taken");
    }
    assert!(transport.is_up().await);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn concurrent_mails_share_a_few_connections() {
    let server = Server::start(friendly).await;
    let transport = Arc::new(server.patient());
    let sends: Vec<_> = (0..2 * MAX_CONNECTIONS)
        .map(|_| {
            let transport = transport.clone();
            tokio::spawn(async move { transport.send(&a_mail()).await })
        })
        .collect();
    for send in sends {
        send.await.expect("it ran").expect("taken");
    }
    assert!(server.connections() <= MAX_CONNECTIONS, "{}", server.connections());
}

/// Does not reply to the first mail.
fn slow_at_first(line: &str, connection: usize) -> &'static str {
    if (line, connection) == (".", 1) { "" } else { friendly(line, connection) }
}

#[tokio::test]
async fn an_aborted_send_leaves_no_connection_in_the_pool() {
    let server = Server::start(slow_at_first).await;
    let (transport, mail) = (server.patient(), a_mail());
    tokio::select! {
        outcome = transport.send(&mail) => panic!("the server did not answer: {outcome:?}"),
        () = server.silent.notified() => {}
    }
    transport.send(&a_mail()).await.expect("taken");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_silent_server_is_abandoned_at_the_deadline() {
    let server = Server::start(slow_at_first).await;
    let transport = server.transport(None, Duration::from_millis(200));
    let error = transport.send(&a_mail()).await.expect_err("no answer");
    assert_eq!(error, SendError::Unclear(Reason::new("no reply within 200ms")), "the mail may have arrived");
    transport.send(&a_mail()).await.expect("taken, over another connection");
}

#[tokio::test]
async fn the_reason_of_a_refusal_holds_the_codes_and_no_text_of_the_server() {
    let unknown_user = refusal(|line, number| match line {
        line if line.starts_with("RCPT") => "550 5.1.1 <ada@example.org> unknown, your code was 482913",
        line => friendly(line, number),
    });
    let error = unknown_user.await;
    assert_eq!(error, SendError::Permanent(Reason::new("the mail server replied 550 5.1.1")));

    let full = refusal(|line, number| match line {
        "." => "452-4.2.2 mailbox of ada@example.org\r\n452 4.2.2 is full",
        line => friendly(line, number),
    });
    assert_eq!(full.await, transient("the mail server replied 452 4.2.2"));

    let no_status =
        refusal(|line, number| if line == "." { "554 5.1 ada@example.org" } else { friendly(line, number) });
    assert_eq!(no_status.await, SendError::RefusesUs(Reason::new("the mail server replied 554")));
}

#[tokio::test]
async fn only_a_refusal_of_the_recipient_ends_a_mail() {
    async fn refused_at(reply: &'static str, command: &'static str) -> bool {
        let error = match (command, reply) {
            ("RCPT", "550") => refusal(|l, n| if l.starts_with("RCPT") { "550 no" } else { friendly(l, n) }).await,
            ("RCPT", "5.7.1") => {
                refusal(|l, n| if l.starts_with("RCPT") { "550 5.7.1 no" } else { friendly(l, n) }).await
            }
            ("MAIL", "550") => refusal(|l, n| if l.starts_with("MAIL") { "550 no" } else { friendly(l, n) }).await,
            ("MAIL", "5.1.8") => {
                refusal(|l, n| if l.starts_with("MAIL") { "553 5.1.8 no" } else { friendly(l, n) }).await
            }
            (_, "5.2.1") => refusal(|l, n| if l == "." { "550 5.2.1 no" } else { friendly(l, n) }).await,
            _ => refusal(|l, n| if l == "." { "554 5.7.1 no" } else { friendly(l, n) }).await,
        };
        matches!(error, SendError::Permanent(_))
    }
    assert!(refused_at("550", "RCPT").await && refused_at("5.2.1", "end").await);
    for (reply, command) in [("5.7.1", "RCPT"), ("550", "MAIL"), ("5.1.8", "MAIL"), ("5.7.1", "end")] {
        assert!(!refused_at(reply, command).await, "{reply} {command}");
    }
}

/// Refuses the sender on the first connection.
fn strict_at_first(line: &str, connection: usize) -> &'static str {
    if connection == 1 && line.starts_with("MAIL") { "550 5.7.1 not you" } else { friendly(line, connection) }
}

#[tokio::test]
async fn a_server_that_refuses_the_sender_is_down_until_it_takes_a_mail() {
    let server = Server::start(strict_at_first).await;
    let transport = server.patient();
    assert!(matches!(transport.send(&a_mail()).await, Err(SendError::RefusesUs(_))));
    assert!(!transport.is_up().await && !transport.has_recovered(), "it responds, and takes nothing");
    transport.send(&a_mail()).await.expect("taken");
    assert!(transport.is_up().await && transport.has_recovered());
    assert!(!transport.has_recovered(), "once");
}

#[tokio::test]
async fn a_fault_of_the_client_or_the_server_is_transient() {
    let wrong_password = refusal(|line, number| match line {
        line if line.starts_with("AUTH") => "535 5.7.8 no-reply@faceofmind.local: wrong password",
        line => friendly(line, number),
    });
    assert_eq!(wrong_password.await, refuses_us("the mail server replied 535 5.7.8"));

    let closed =
        refusal(|line, number| if line.starts_with("EHLO") { "554 5.3.2 go away" } else { friendly(line, number) });
    assert_eq!(closed.await, refuses_us("the mail server replied 554 5.3.2"));

    let not_logged_in = refusal(|line, number| match line {
        line if line.starts_with("MAIL") => "530 5.7.0 log in first",
        line => friendly(line, number),
    });
    assert_eq!(not_logged_in.await, refuses_us("the mail server replied 530 5.7.0"));

    let gibberish = refusal(|line, number| if line == "DATA" { "ada@example.org" } else { friendly(line, number) });
    assert_eq!(gibberish.await, transient("the mail server's reply is invalid"));
}

#[tokio::test]
async fn an_unreachable_server_is_transient_and_not_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let server = Server { port, connections: Arc::default(), silent: Arc::default() };
    let transport = server.patient();
    assert!(!transport.is_up().await);
    let error = transport.send(&a_mail()).await.expect_err("no server listens");
    assert!(matches!(error, SendError::Transient(_)) && error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_server_without_starttls_gets_no_mail_when_it_is_asked_for() {
    let server = Server::start(friendly).await;
    let settings = SmtpSettings {
        host: "127.0.0.1".into(),
        port: server.port,
        tls: SmtpTls::Starttls,
        username: String::new(),
        password: None,
        timeout: Duration::from_secs(30),
    };
    let error = Transport::smtp(settings).expect("roots").send(&a_mail()).await.expect_err("in the clear");
    assert_eq!(error, transient("the connection to the mail server failed: STARTTLS is not supported on this server"));
}

#[test]
fn debug_prints_no_password() {
    let server = Server { port: 25, connections: Arc::default(), silent: Arc::default() };
    let printed = format!("{:?}", server.transport(Some("hunter2"), Duration::ZERO));
    assert!(!printed.contains("hunter2") && printed.contains("127.0.0.1"), "{printed}");
}
