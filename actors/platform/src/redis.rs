//! The Redis server that the nodes share, for one-time codes and rate limits.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::{
    Client, FromRedisValue, IntoConnectionInfo, Pipeline, ProtocolVersion, RedisError, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use crate::DependencyError;

#[doc(hidden)]
pub type RedisServer = RedisClient;

/// The longest that connecting may take, and the longest that a response may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);
/// The longest that a call may take in all.
const DEADLINE: Duration = Duration::from_secs(1);

/// A client with one connection, which connects at first use and again when it breaks. Clones share it.
#[derive(Clone)]
pub struct RedisClient(Arc<Inner>);

/// The connection manager replaces a connection whose socket broke. It keeps a connection that was refused (a wrong password, corrected
/// later) for ever, and one whose peer vanished until TCP gives up after 15 minutes: these are replaced here.
struct Inner {
    client: Client,
    current: Mutex<VersionedConnection>,
}

/// A connection and its version, so that of many callers that saw it fail, one replaces it.
#[derive(Clone)]
struct VersionedConnection {
    connection: ConnectionManager,
    version: u64,
}

impl RedisClient {
    /// Returns a client that is not connected yet. It requires a tokio runtime. `url` is `redis://[[user]:password@]host[:port][/db]`, or
    /// `rediss://` for TLS.
    ///
    /// # Errors
    /// The URL cannot be read.
    pub fn open(url: &str) -> Result<Self, DependencyError> {
        let address = url.into_connection_info().map_err(failed)?;
        // Only with RESP3 does the client notice a broken connection before the next call.
        let session = address.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(address.set_redis_settings(session)).map_err(failed)?;
        let current = Mutex::new(VersionedConnection { connection: connection(&client).map_err(failed)?, version: 0 });
        Ok(Self(Arc::new(Inner { client, current })))
    }

    /// Whether Redis accepts writes. A replica, or a server out of memory, does not.
    pub async fn is_up(&self) -> bool {
        let mut probe = redis::pipe();
        probe.cmd("SET").arg("fom:up").arg(1).arg("PX").arg(60_000).ignore();
        self.send::<()>(&probe).await.is_ok()
    }

    /// Runs a script, which is atomic.
    pub(crate) async fn run<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, DependencyError> {
        let mut current = self.0.current();
        let response = tokio::time::timeout(DEADLINE, call.invoke_async(&mut current.connection)).await;
        self.0.check(response.ok(), current.version)
    }

    /// Sends several commands in one round trip. They are not atomic.
    pub(crate) async fn send<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, DependencyError> {
        let mut current = self.0.current();
        let response = tokio::time::timeout(DEADLINE, commands.query_async(&mut current.connection)).await;
        self.0.check(response.ok(), current.version)
    }
}

impl Inner {
    fn current(&self) -> VersionedConnection {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Checks the response of the connection of that version, `None` where none came by the deadline, and replaces the connection if need be.
    fn check<T>(&self, response: Option<Result<T, RedisError>>, version: u64) -> Result<T, DependencyError> {
        match response {
            Some(Ok(response)) => Ok(response),
            Some(Err(error)) => {
                if error.is_timeout() || !error.is_io_error() {
                    self.reconnect(version);
                }
                Err(failed(error))
            }
            None => {
                self.reconnect(version);
                Err(DependencyError { service: "Redis", reason: "no response in time".to_owned() })
            }
        }
    }

    fn reconnect(&self, version: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let (true, Ok(connection)) = (current.version == version, connection(&self.client)) {
            *current = VersionedConnection { connection, version: version + 1 };
        }
    }
}

/// Returns a connection that connects at first use. A call does not retry, so that its caller gets an error soon.
fn connection(client: &Client) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(RESPONSE_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_number_of_retries(0);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

fn failed(error: RedisError) -> DependencyError {
    DependencyError { service: "Redis", reason: error.to_string() }
}

impl fmt::Debug for RedisClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisClient")
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::testing::{self, forward_to_redis};

    #[tokio::test]
    async fn a_broken_connection_is_replaced() {
        let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its number");
        let redis = RedisClient::open(&format!("redis://{port}")).expect("a URL");
        assert!(!redis.is_up().await);
        for _ in 0..3 {
            let proxy = tokio::spawn(forward_to_redis(port));
            testing::until("Redis is there", async || redis.is_up().await).await;
            proxy.abort();
            testing::until("Redis is gone", async || !redis.is_up().await).await;
        }
    }

    #[tokio::test]
    async fn a_connection_that_was_refused_is_replaced() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its number");
        let redis = RedisClient::open(&format!("redis://{port}")).expect("a URL");
        let refusing = tokio::spawn(async move {
            let mut clients = Vec::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let mut request = [0; 512];
                let _length = client.read(&mut request).await.expect("a greeting");
                client.write_all(&b"-WRONGPASS not yet\r\n".repeat(8)).await.expect("refuses");
                clients.push(client);
            }
        });
        assert!(!redis.is_up().await);
        refusing.abort();
        assert!(refusing.await.is_err_and(|ended| ended.is_cancelled()));
        let proxy = tokio::spawn(forward_to_redis(port));
        testing::until("Redis is there", async || redis.is_up().await).await;
        proxy.abort();
    }

    #[test]
    fn an_invalid_url_is_refused_and_its_password_not_shown() {
        let refused = RedisClient::open("redis//:secret@nowhere").expect_err("no URL").to_string();
        assert!(!refused.contains("secret"), "{refused}");
    }
}
