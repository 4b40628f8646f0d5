//! The cost of a login besides its hash.

use std::{thread, time::Duration};

use anyhow::{Context, Result};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::{
    account::{Account, EMAIL, PASSWORD},
    env::{BenchEnv, cores},
    row::Row,
    wrk::Load,
};
use crate::wait::Stopwatch;

/// Fewer would leave the hasher idle while a response travels.
const CONNECTIONS: usize = 16;

pub(crate) fn row(env: &BenchEnv) -> Result<Row<'_>> {
    let login = Load::post(env, "/api/v1/auth/login", CONNECTIONS, &Account::credentials(EMAIL).to_string())?;
    Ok(Row {
        title: "POST /auth/login, 16 connections",
        ours: Box::new(move |span| login.run(span)),
        reference_title: "Argon2id with the same parameters, a thread a core",
        reference: Box::new(hash_on_every_core),
    })
}

fn hash_on_every_core(span: Duration) -> Result<f64> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores()).map(|_| scope.spawn(|| hash(span))).collect();
        threads.into_iter().map(|thread| thread.join().ok().context("a thread panicked")?).sum()
    })
}

/// The hashes in a second on one thread, which reuses its memory. The parameters are the service's defaults (OWASP's).
fn hash(span: Duration) -> Result<f64> {
    let params = Params::new(19_456, 2, 1, Some(32)).map_err(|e| anyhow::anyhow!("{e}"))?;
    let mut memory = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (began, mut count, mut hash) = (Stopwatch::start(), 0_u32, [0; 32]);
    while began.elapsed() < span {
        argon2
            .hash_password_into_with_memory(PASSWORD.as_bytes(), &count.to_le_bytes().repeat(4), &mut hash, &mut memory)
            .map_err(|e| anyhow::anyhow!("{e}"))?;
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}
