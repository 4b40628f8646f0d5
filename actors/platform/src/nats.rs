//! The connection to NATS, which the modules share, and its state.

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
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Notify, SetOnce};

use crate::DependencyError;

/// This subject has no responders. The server says so, which proves a round trip. It lies outside `faceofmind.>`, which is for events alone.
/// The account needs the right to publish on `fom.internal.>`, which the modules use too.
const PROBE: &str = "fom.internal.probe";

/// The address of NATS, and how to connect.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `nats://host:4222` or `tls://…`, or several of them, separated by commas. A user and password, or a token alone, may stand before
    /// the `@`. The first URL that has them provides them for all.
    pub url: SecretString,
    /// A `.creds` file with a JWT and its key.
    pub credentials: Option<PathBuf>,
    /// The period of pings. A connection that died silently is noticed after four of them.
    pub ping_interval: Duration,
    /// The longest that a request waits for its response.
    pub request_timeout: Duration,
}

impl Settings {
    /// Returns the default settings for that URL.
    pub fn new(url: SecretString) -> Self {
        Self { url, credentials: None, ping_interval: Duration::from_secs(1), request_timeout: Duration::from_secs(2) }
    }
}

/// A NATS client and the state of its connection. Clones share the connection, which connects and reconnects in the background.
#[derive(Clone)]
pub struct NatsConnection {
    client: Arc<Client>,
    state: ConnectionState,
}

impl NatsConnection {
    /// Starts to connect. It does not wait for the connection.
    ///
    /// # Errors
    /// The URL or the credentials file cannot be read. The message shows neither.
    pub async fn connect(settings: &Settings) -> Result<Self, DependencyError> {
        let ParsedUrls { addresses, options } = ParsedUrls::parse(settings.url.expose_secret())?;
        let options = match &settings.credentials {
            Some(path) => options.credentials_file(path).await.map_err(failed)?,
            None => options,
        };
        let state = ConnectionState::default();
        let cell: Arc<SetOnce<Weak<Client>>> = Arc::default();
        let (own_state, own_cell) = (state.clone(), Arc::clone(&cell));
        let client = options
            .name("faceofmind")
            .retry_on_initial_connect()
            .ping_interval(settings.ping_interval)
            .request_timeout(Some(settings.request_timeout))
            .connection_timeout(Duration::from_secs(3))
            .reconnect_delay_callback(reconnect_delay)
            .event_callback(move |event| {
                on_event(&event, &own_state, &own_cell);
                std::future::ready(())
            })
            .connect(addresses)
            .await
            .map_err(failed)?;
        let client = Arc::new(client);
        // Weak: a callback that held the client would keep the connection open for ever.
        drop(cell.set(Arc::downgrade(&client)));
        Ok(Self { client, state })
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn state(&self) -> &ConnectionState {
        &self.state
    }

    /// Whether the server responds now. It has then processed everything that this connection sent before.
    pub async fn responds(&self) -> bool {
        responds(&self.client).await
    }
}

impl fmt::Debug for NatsConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsConnection").field("connected", &self.state.is_connected()).finish()
    }
}

/// Whether the connection is up, and its epoch: a number that grows with each change and is odd while the connection is up. Equal odd
/// epochs at two moments mean that the connection did not break in between.
///
/// The connection is up from the first round trip after connecting, when the server has every subscription again, until a break is noticed.
#[derive(Clone, Debug, Default)]
pub struct ConnectionState(Arc<EpochInner>);

#[derive(Debug, Default)]
struct EpochInner {
    epoch: AtomicU64,
    changed: Notify,
}

impl ConnectionState {
    /// Costs one atomic read.
    pub fn is_connected(&self) -> bool {
        self.epoch() % 2 == 1
    }

    pub fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::Acquire)
    }

    /// Waits until the epoch is another than `epoch`.
    pub async fn changed_since(&self, epoch: u64) {
        loop {
            let changed = self.0.changed.notified();
            if self.epoch() != epoch {
                return;
            }
            changed.await;
        }
    }

    /// Runs `work` while the connection of that epoch is up. A request over a connection that breaks gets no response over the next one.
    ///
    /// # Errors
    /// Those of `work`, and that the connection broke.
    pub async fn while_connected<T, E: From<DependencyError>>(
        &self,
        epoch: u64,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            done = work => done,
            () = self.changed_since(epoch) => Err(failed("the connection broke").into()),
        }
    }

    /// Records a break, also one during the first round trip.
    fn mark_down(&self) {
        // The next even number. An even epoch changes too.
        let _epoch = self.0.epoch.fetch_update(Ordering::AcqRel, Ordering::Acquire, |epoch| Some((epoch | 1) + 1));
        self.0.changed.notify_waiters();
    }

    /// Records that the connection made at `epoch` is up, unless it has broken since.
    fn mark_up(&self, epoch: u64) {
        if self.0.epoch.compare_exchange(epoch, epoch + 1, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.0.changed.notify_waiters();
            tracing::info!("connected to NATS");
        }
    }
}

fn on_event(event: &Event, state: &ConnectionState, client: &Arc<SetOnce<Weak<Client>>>) {
    match event {
        Event::Connected => {
            tokio::spawn(confirm(Arc::clone(client), state.clone(), state.epoch()));
        }
        Event::Disconnected | Event::Closed => {
            state.mark_down();
            tracing::warn!("lost the connection to NATS; it reconnects in the background");
        }
        other => tracing::debug!(event = %other, "NATS client event"),
    }
}

/// Probes until the server has responded once. The server processes what a connection sends in order, and the client repeats its
/// subscriptions first, so a response proves the subscriptions.
async fn confirm(client: Arc<SetOnce<Weak<Client>>>, state: ConnectionState, epoch: u64) {
    let client = client.wait().await.clone();
    while state.epoch() == epoch {
        let Some(client) = client.upgrade() else { return };
        if responds(&client).await {
            state.mark_up(epoch);
        }
    }
}

async fn responds(client: &Client) -> bool {
    let response = client.request(PROBE, Default::default()).await;
    response.is_ok() || response.is_err_and(|error| error.kind() == RequestErrorKind::NoResponders)
}

/// The first reconnect is immediate. The delay then doubles, up to one second.
fn reconnect_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(2)).unwrap_or(u32::MAX).min(10);
    Duration::from_millis(if attempts < 2 { 0 } else { 1 << doublings }).min(Duration::from_secs(1))
}

fn failed(error: impl fmt::Display) -> DependencyError {
    DependencyError { service: "NATS", reason: error.to_string() }
}

/// Addresses without their secrets, because the client prints addresses, and options with the secrets.
struct ParsedUrls {
    addresses: Vec<ServerAddr>,
    options: ConnectOptions,
}

impl ParsedUrls {
    fn parse(urls: &str) -> Result<Self, DependencyError> {
        let mut servers = Self { addresses: Vec::new(), options: ConnectOptions::new() };
        let mut known = false;
        for url in urls.split(',').map(str::trim) {
            let address: ServerAddr = url.parse().map_err(|_| unreadable())?;
            let (user, password) = (decoded(address.username())?, decoded(address.password())?);
            servers.addresses.push(without_credentials(address)?);
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

fn unreadable() -> DependencyError {
    failed("NATS_URL is not of the form nats://[user:password@]host[:port] or tls://…")
}

fn decoded(part: Option<&str>) -> Result<Option<String>, DependencyError> {
    let decode = |part| percent_encoding::percent_decode_str(part).decode_utf8().map(String::from);
    part.map(decode).transpose().map_err(|_| unreadable())
}

fn without_credentials(address: ServerAddr) -> Result<ServerAddr, DependencyError> {
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
    fn secrets_are_removed_from_the_urls() {
        let servers = ParsedUrls::parse("nats://ada:p%40ss@one:4222, tls://two").expect("readable");
        let printed: Vec<_> = servers.addresses.iter().map(ServerAddr::as_url_str).collect();
        assert_eq!(printed, ["nats://one:4222", "tls://two"]);
        assert!(servers.addresses[1].tls_required());
    }

    #[test]
    fn an_invalid_url_is_refused_and_not_shown() {
        for url in ["", "http://ada:hush@host", "nats://ada:hush@", "nats://ada:hush@ho st", "ws://ada:hush@host"] {
            let error = ParsedUrls::parse(url).err().expect(url).to_string();
            assert!(error.contains("NATS_URL") && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_break_during_the_first_round_trip_is_a_break() {
        let state = ConnectionState::default();
        let epoch = state.epoch();
        state.mark_down();
        state.mark_up(epoch);
        assert!(!state.is_connected(), "the response came over a connection that is gone");
        state.mark_up(state.epoch());
        assert!(state.is_connected());
        state.mark_down();
        assert!(!state.is_connected());
    }
}
