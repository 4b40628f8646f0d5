//! Open files: each connection is one.

/// The most connections of clients that a node takes, however many files it may open.
const MAX_CONNECTIONS: usize = 10_000;
/// Files for listeners, Redis, NATS, mail servers, logs and files of mails.
const RESERVE: usize = 128;
/// Connections that a node takes even when the limit of open files is too low for its other parts.
const MIN_CONNECTIONS: usize = 16;

/// Raises the soft limit of open files to the hard one, and returns how many connections of clients fit beside the database's.
pub(super) fn connections_of_clients(database_connections: u32) -> usize {
    let files = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => usize::try_from(files).unwrap_or(usize::MAX),
        Err(error) => {
            tracing::warn!(%error, "limit of open files not raised; the soft limit holds");
            rlimit::Resource::NOFILE.get_soft().map_or(1024, |files| usize::try_from(files).unwrap_or(usize::MAX))
        }
    };
    let connections = beside(files, database_connections);
    if connections < MAX_CONNECTIONS {
        tracing::warn!(files, connections, "open files limit the connections; raise the hard limit (LimitNOFILE)");
    }
    connections
}

fn beside(files: usize, database_connections: u32) -> usize {
    // SQLite opens three files for each of its few connections.
    let database = usize::try_from(database_connections).unwrap_or(usize::MAX).saturating_add(12);
    files.saturating_sub(RESERVE).saturating_sub(database).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_below_the_limit_of_open_files() {
        assert_eq!(beside(1024, 50), 834);
        assert_eq!(beside(1 << 20, 50), MAX_CONNECTIONS);
        assert_eq!(beside(64, 1000), MIN_CONNECTIONS);
    }
}
