//! The Redis that the nodes share, for the rooms that keep codes and counters there.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use faceofmind_runtime::legacy::Failure;
use redis::{
    Client, FromRedisValue, IntoConnectionInfo, Pipeline, ProtocolVersion, RedisError, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

/// How long connecting, and how long an answer, may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// No call takes longer than this, whatever it met.
const DEADLINE: Duration = Duration::from_secs(1);

/// A Redis server behind one connection, which is made at first use and again when it breaks. Clones share it.
#[derive(Clone)]
pub struct RedisServer(Arc<Line>);

/// The client by itself replaces a connection whose socket broke. But one that was refused (a wrong password, set right later) it keeps
/// refused for ever, and one whose peer vanished it keeps until TCP gives up, a quarter of an hour: those are replaced here.
struct Line {
    client: Client,
    current: Mutex<Numbered>,
}

/// A connection and how many came before it, so that of many callers who met the same one, one replaces it.
#[derive(Clone)]
struct Numbered {
    connection: ConnectionManager,
    number: u64,
}

impl RedisServer {
    /// Prepares the connection; Redis need not be up. To be called inside a tokio runtime. `url`: `redis://[[user]:password@]host[:port][/db]`,
    /// or `rediss://` for TLS.
    ///
    /// # Errors
    /// [`Failure::Dependency`] when the URL cannot be read.
    pub fn open(url: &str) -> Result<Self, Failure> {
        let address = url.into_connection_info().map_err(failed)?;
        // RESP3, because only there the client notices a broken connection before the next call does.
        let session = address.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(address.set_redis_settings(session)).map_err(failed)?;
        let current = Mutex::new(Numbered { connection: connection(&client).map_err(failed)?, number: 0 });
        Ok(Self(Arc::new(Line { client, current })))
    }

    /// Whether it takes writes; a replica, or a server out of memory, does not count as up.
    pub async fn is_up(&self) -> bool {
        let mut probe = redis::pipe();
        probe.cmd("SET").arg("fom:up").arg(1).arg("PX").arg(60_000).ignore();
        self.send::<()>(&probe).await.is_ok()
    }

    /// Runs a script, which Redis does as one step.
    pub(crate) async fn run<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, Failure> {
        let mut current = self.0.current();
        let answer = tokio::time::timeout(DEADLINE, call.invoke_async(&mut current.connection)).await;
        self.0.take(answer.ok(), current.number)
    }

    /// Sends several commands in one round trip. Others' commands may come between them.
    pub(crate) async fn send<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Failure> {
        let mut current = self.0.current();
        let answer = tokio::time::timeout(DEADLINE, commands.query_async(&mut current.connection)).await;
        self.0.take(answer.ok(), current.number)
    }
}

impl Line {
    fn current(&self) -> Numbered {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The answer, or none within the deadline, of the connection of that number.
    fn take<T>(&self, answer: Option<Result<T, RedisError>>, number: u64) -> Result<T, Failure> {
        match answer {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => {
                if error.is_timeout() || !error.is_io_error() {
                    self.replace(number);
                }
                Err(failed(error))
            }
            None => {
                self.replace(number);
                Err(Failure::Dependency { service: "Redis", reason: "it does not answer".to_owned() })
            }
        }
    }

    fn replace(&self, number: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let (true, Ok(connection)) = (current.number == number, connection(&self.client)) {
            *current = Numbered { connection, number: number + 1 };
        }
    }
}

/// A connection to be made at first use. It is not tried again within a call: whoever waits shall hear soon.
fn connection(client: &Client) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE))
        .set_number_of_retries(0);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

fn failed(error: RedisError) -> Failure {
    Failure::Dependency { service: "Redis", reason: error.to_string() }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisServer")
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::testing;
    use crate::testing::forward_to_redis;

    #[tokio::test]
    async fn a_broken_connection_is_made_again() {
        let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its number");
        let server = RedisServer::open(&format!("redis://{port}")).expect("a URL");
        assert!(!server.is_up().await);
        for _ in 0..3 {
            let relay = tokio::spawn(forward_to_redis(port));
            testing::until("Redis is there", async || server.is_up().await).await;
            relay.abort();
            testing::until("Redis is gone", async || !server.is_up().await).await;
        }
    }

    #[tokio::test]
    async fn a_server_that_refused_once_is_tried_again() {
        let door = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = door.local_addr().expect("its number");
        let server = RedisServer::open(&format!("redis://{port}")).expect("a URL");
        let refusing = tokio::spawn(async move {
            let mut clients = Vec::new();
            while let Ok((mut client, _)) = door.accept().await {
                let mut asked = [0; 512];
                let _length = client.read(&mut asked).await.expect("a greeting");
                client.write_all(&b"-WRONGPASS not yet\r\n".repeat(8)).await.expect("refuses");
                clients.push(client);
            }
        });
        assert!(!server.is_up().await);
        refusing.abort();
        assert!(refusing.await.is_err_and(|ended| ended.is_cancelled()));
        let relay = tokio::spawn(forward_to_redis(port));
        testing::until("Redis is there", async || server.is_up().await).await;
        relay.abort();
    }

    #[test]
    fn a_url_that_is_none_is_refused_without_its_password() {
        let refused = RedisServer::open("redis//:secret@nowhere").expect_err("no URL").to_string();
        assert!(!refused.contains("secret"), "{refused}");
    }
}
