//! What `cargo xtask bench` measures the service against, beside pgbench: the least that the same work needs without the service. A program of its
//! own, so that it is compiled with the service's release profile and `cargo xtask` stays small.

mod bcrypt;
mod http;
mod jetstream;
mod sqlite;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// Each reference but the server prints its rate a second. `bcrypt-hash` prints a hash.
#[derive(Parser)]
enum Reference {
    /// Answer every request with the same bytes, until killed
    Http {
        port: u16,
        /// The head of the response without its status, an empty line, and the body
        response: PathBuf,
    },
    /// Publish a payload to JetStream, and await the acknowledgements
    Jetstream {
        url: String,
        /// The most messages in flight
        window: usize,
        messages: usize,
        payload: PathBuf,
    },
    /// Insert a session and its event into SQLite, one transaction each
    Sqlite {
        database: PathBuf,
        seconds: u64,
        /// The envelope of the event
        envelope: PathBuf,
    },
    /// Hash a password with bcrypt, on a thread a core
    Bcrypt { password: String, cost: u32, seconds: u64 },
    /// Print a hash of a password, as passlib writes it
    BcryptHash { password: String, cost: u32 },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Reference::parse() {
        Reference::Http { port, response } => http::serve(port, &response).await,
        Reference::Jetstream { url, window, messages, payload } => {
            print(jetstream::publish(&url, window, messages, &payload).await?)
        }
        Reference::Sqlite { database, seconds, envelope } => {
            print(sqlite::insert(&database, seconds, &envelope).await?)
        }
        Reference::Bcrypt { password, cost, seconds } => print(bcrypt::rate(&password, cost, seconds)),
        Reference::BcryptHash { password, cost } => {
            println!("{}", bcrypt::hash(&password, cost));
            Ok(())
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an arm of main")]
fn print(rate: f64) -> Result<()> {
    println!("{rate}");
    Ok(())
}
