//! The connection to NATS, shared by the rooms that speak to it, and whether it stands.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Event, RequestErrorKind, ServerAddr};
use faceofmind_runtime::legacy::Failure;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Notify, SetOnce};

/// Nobody answers here; the server says so, and that proves a round trip. Outside `faceofmind.>`, where only events go.
/// The account needs the right to publish on `fom.internal.>`, as the rooms do.
const PROBE: &str = "fom.internal.probe";

/// Where NATS is, and how to be let in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `nats://host:4222`, `tls://…`; several by commas. A user and password, or a token alone, may stand before the `@`; those of the
    /// first URL that has any hold for all.
    pub url: SecretString,
    /// A `.creds` file with a JWT and its key.
    pub credentials: Option<PathBuf>,
    /// How often to ask for a sign of life. A link that has died without a word is noticed after four.
    pub ping_interval: Duration,
    /// How long a request waits for its answer.
    pub request_timeout: Duration,
}

impl Settings {
    /// The defaults, for that URL.
    pub fn new(url: SecretString) -> Self {
        Self { url, credentials: None, ping_interval: Duration::from_secs(1), request_timeout: Duration::from_secs(2) }
    }
}

/// A client of NATS and its link. Clones share the connection, which is made, and made again when it breaks, in the background.
#[derive(Clone)]
pub struct Nats {
    client: Arc<Client>,
    link: Link,
}

impl Nats {
    /// Prepares the connection; does not wait until it stands.
    ///
    /// # Errors
    /// When the URL or the credentials file cannot be read. The message shows neither.
    pub async fn connect(settings: &Settings) -> Result<Self, Failure> {
        let Servers { addresses, options } = Servers::parse(settings.url.expose_secret())?;
        let options = match &settings.credentials {
            Some(path) => options.credentials_file(path).await.map_err(refused)?,
            None => options,
        };
        let link = Link::default();
        let door: Arc<SetOnce<Weak<Client>>> = Arc::default();
        let (seen, opened) = (link.clone(), Arc::clone(&door));
        let client = options
            .name("faceofmind")
            .retry_on_initial_connect()
            .ping_interval(settings.ping_interval)
            .request_timeout(Some(settings.request_timeout))
            .connection_timeout(Duration::from_secs(3))
            .reconnect_delay_callback(delay)
            .event_callback(move |event| {
                notice(&event, &seen, &opened);
                std::future::ready(())
            })
            .connect(addresses)
            .await
            .map_err(refused)?;
        let client = Arc::new(client);
        // Only weakly: a callback that held the client would keep the connection alive for ever.
        drop(door.set(Arc::downgrade(&client)));
        Ok(Self { client, link })
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the connection stands.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Whether the server answers now. It then knows of all that this connection sent before.
    pub async fn answers(&self) -> bool {
        answers(&self.client).await
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("up", &self.link.is_up()).finish()
    }
}

/// Whether the connection stands, as a number that grows with each change: odd while it stands. Who remembers the turn under which
/// something was learnt knows whether the link has held ever since.
///
/// It stands from the first round trip after connecting, when the server has every subscription again, until it is seen to break.
#[derive(Clone, Debug, Default)]
pub struct Link(Arc<Turns>);

#[derive(Debug, Default)]
struct Turns {
    turn: AtomicU64,
    moved: Notify,
}

impl Link {
    /// Whether the connection stands; one atomic read.
    pub fn is_up(&self) -> bool {
        stands(self.turn())
    }

    /// The turn, odd while the connection stands. Equal turns, and odd: the link has not broken in between.
    pub fn turn(&self) -> u64 {
        self.0.turn.load(Ordering::Acquire)
    }

    /// Waits until the turn is another than `turn`.
    pub async fn moved_from(&self, turn: u64) {
        loop {
            let moved = self.0.moved.notified();
            if self.turn() != turn {
                return;
            }
            moved.await;
        }
    }

    /// Does `work` as long as the connection of that turn stands: what is asked over one that breaks is not answered over the next.
    ///
    /// # Errors
    /// What `work` fails with; or that the connection broke.
    pub async fn during<T, E: From<Failure>>(
        &self,
        turn: u64,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            done = work => done,
            () = self.moved_from(turn) => Err(refused("the connection broke").into()),
        }
    }

    /// Notes a break, also one during the first round trip.
    fn fall(&self) {
        // The next even number, and another one also where it was even.
        let _turn = self.0.turn.fetch_update(Ordering::AcqRel, Ordering::Acquire, |turn| Some((turn | 1) + 1));
        self.0.moved.notify_waiters();
    }

    /// Notes that the connection made at `turn` stands, unless it has broken since.
    fn rise(&self, turn: u64) {
        if self.0.turn.compare_exchange(turn, turn + 1, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.0.moved.notify_waiters();
            tracing::info!("NATS is connected");
        }
    }
}

fn stands(turn: u64) -> bool {
    turn % 2 == 1
}

fn notice(event: &Event, link: &Link, door: &Arc<SetOnce<Weak<Client>>>) {
    match event {
        Event::Connected => {
            tokio::spawn(confirm(Arc::clone(door), link.clone(), link.turn()));
        }
        Event::Disconnected | Event::Closed => {
            link.fall();
            tracing::warn!("NATS is not connected any more");
        }
        other => tracing::debug!(event = %other, "NATS"),
    }
}

/// Asks until the server has answered once. It deals with what a connection sends in order, and the client repeats its
/// subscriptions first: who is answered is subscribed.
async fn confirm(door: Arc<SetOnce<Weak<Client>>>, link: Link, turn: u64) {
    let client = door.wait().await.clone();
    while link.turn() == turn {
        let Some(client) = client.upgrade() else { return };
        if answers(&client).await {
            link.rise(turn);
        }
    }
}

async fn answers(client: &Client) -> bool {
    let asked = client.request(PROBE, Default::default()).await;
    asked.is_ok() || asked.is_err_and(|error| error.kind() == RequestErrorKind::NoResponders)
}

/// At once, then ever later, up to a second.
fn delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(2)).unwrap_or(u32::MAX).min(10);
    Duration::from_millis(if attempts < 2 { 0 } else { 1 << doublings }).min(Duration::from_secs(1))
}

fn refused(error: impl fmt::Display) -> Failure {
    Failure::Dependency { service: "NATS", reason: error.to_string() }
}

/// Addresses without secrets, for the client prints them, and the secrets that stood in them.
struct Servers {
    addresses: Vec<ServerAddr>,
    options: ConnectOptions,
}

impl Servers {
    fn parse(urls: &str) -> Result<Self, Failure> {
        let mut servers = Self { addresses: Vec::new(), options: ConnectOptions::new() };
        let mut known = false;
        for url in urls.split(',').map(str::trim) {
            let address: ServerAddr = url.parse().map_err(|_| unreadable())?;
            let (user, password) = (decoded(address.username())?, decoded(address.password())?);
            servers.addresses.push(bare(address)?);
            if !known && let Some(user) = user {
                known = true;
                servers.options = match password {
                    Some(password) => servers.options.user_and_password(user, password),
                    None => servers.options.token(user),
                };
            }
        }
        Ok(servers)
    }
}

fn unreadable() -> Failure {
    refused("NATS_URL is not of the form nats://[user:password@]host[:port] or tls://…")
}

fn decoded(part: Option<&str>) -> Result<Option<String>, Failure> {
    let decode = |part| percent_encoding::percent_decode_str(part).decode_utf8().map(String::from);
    part.map(decode).transpose().map_err(|_| unreadable())
}

fn bare(address: ServerAddr) -> Result<ServerAddr, Failure> {
    let mut url = address.into_inner();
    let known = matches!(url.scheme(), "nats" | "tls") && url.host_str().is_some_and(|host| !host.is_empty());
    let stripped = url.set_username("").and_then(|()| url.set_password(None));
    if !known || stripped.is_err() {
        return Err(unreadable());
    }
    ServerAddr::from_url(url).map_err(|_| unreadable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_of_the_urls() {
        let servers = Servers::parse("nats://ada:p%40ss@one:4222, tls://two").expect("readable");
        let printed: Vec<_> = servers.addresses.iter().map(ServerAddr::as_url_str).collect();
        assert_eq!(printed, ["nats://one:4222", "tls://two"]);
        assert!(servers.addresses[1].tls_required());
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_shown() {
        for url in ["", "http://ada:hush@host", "nats://ada:hush@", "nats://ada:hush@ho st", "ws://ada:hush@host"] {
            let error = Servers::parse(url).err().expect(url).to_string();
            assert!(error.contains("NATS_URL") && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_break_during_the_first_round_trip_is_a_break() {
        let link = Link::default();
        let turn = link.turn();
        link.fall();
        link.rise(turn);
        assert!(!link.is_up(), "the answer came over a connection that is gone");
        link.rise(link.turn());
        assert!(link.is_up());
        link.fall();
        assert!(!link.is_up());
    }
}
