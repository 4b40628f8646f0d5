//! The Redis that the nodes share, for the rooms that keep codes and counters there.

use std::{fmt, time::Duration};

use faceofmind_kit::Failure;
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
pub struct RedisServer(ConnectionManager);

impl RedisServer {
    /// Prepares the connection; Redis need not be up. To be called inside a tokio runtime. `url`: `redis://[[user]:password@]host[:port][/db]`,
    /// or `rediss://` for TLS.
    ///
    /// # Errors
    /// [`Failure::Dependency`] when the URL cannot be read.
    pub fn open(url: &str) -> Result<Self, Failure> {
        let address = url.into_connection_info().map_err(refused)?;
        // RESP3, because only there the client notices a broken connection before the next call does.
        let session = address.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let address = notice_a_dead_peer(address.set_redis_settings(session));
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(0);
        let client = Client::open(address).map_err(refused)?;
        ConnectionManager::new_lazy_with_config(client, config).map(Self).map_err(refused)
    }

    /// Whether it takes writes; a replica, or a server out of memory, does not count as up.
    pub async fn is_up(&self) -> bool {
        let mut probe = redis::pipe();
        probe.cmd("SET").arg("fom:up").arg(1).arg("PX").arg(60_000).ignore();
        self.send::<()>(&probe).await.is_ok()
    }

    /// Runs a script, which Redis does as one step.
    pub(crate) async fn run<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, Failure> {
        let mut connection = self.0.clone();
        in_time(call.invoke_async(&mut connection)).await
    }

    /// Sends several commands in one round trip. Others' commands may come between them.
    pub(crate) async fn send<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Failure> {
        let mut connection = self.0.clone();
        in_time(commands.query_async(&mut connection)).await
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, RedisError>>) -> Result<T, Failure> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(answer) => answer.map_err(refused),
        Err(_) => Err(Failure::Dependency { service: "Redis", reason: "it does not answer".to_owned() }),
    }
}

fn refused(error: RedisError) -> Failure {
    Failure::Dependency { service: "Redis", reason: error.to_string() }
}

/// A peer that vanished without a word would be waited for until TCP gives up, a quarter of an hour: the client drops a
/// connection only when the socket fails, not when answers are late.
fn notice_a_dead_peer(address: redis::ConnectionInfo) -> redis::ConnectionInfo {
    #[cfg(target_os = "linux")]
    let address = {
        let tcp = address.tcp_settings().clone().set_user_timeout(5 * DEADLINE);
        address.set_tcp_settings(tcp)
    };
    address
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisServer")
    }
}
