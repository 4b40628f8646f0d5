//! The cost of a login besides its hash: one of this service, or one that the predecessor has left behind.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::{
    account::{Account, EMAIL, PASSWORD},
    env::{BenchEnv, cores},
    references,
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

/// The cost of passlib's and Django's hashes.
const BCRYPT_COST: u32 = 12;
/// No core verifies more of them in a second.
const MAX_RATE_OF_CORE: u64 = 20;

/// First log-ins after a takeover. Each verifies bcrypt, and then hashes the password with Argon2id and stores that. So each needs an account of its
/// own, whose hash is put back before each round.
pub(crate) fn bcrypt_row(env: &BenchEnv) -> Result<Row<'_>> {
    let (login, hash) = (numbered_load(env)?, references::bcrypt_hash(env, PASSWORD, BCRYPT_COST)?);
    Ok(Row {
        title: "POST /auth/login with bcrypt 12 through the same pool, then Argon2id in its place, 16 connections",
        ours: Box::new(move |span| {
            env.query(&accounts_with(&hash, span))?;
            let rate = login.run(span)?;
            let left = env.query("select count(*) from users where email like 'bcrypt-%' and password like '$2b$%'")?;
            ensure!(left.trim() != "0", "every account has logged in: later log-ins were without bcrypt");
            Ok(rate)
        }),
        reference_title: "bcrypt 12, a thread a core",
        reference: Box::new(move |span| references::bcrypt(env, PASSWORD, BCRYPT_COST, span)),
    })
}

fn numbered_load(env: &BenchEnv) -> Result<Load> {
    let body = Account::credentials("bcrypt-NUMBER@example.com").to_string();
    Load::post(env, "/api/v1/auth/login", CONNECTIONS, &body)?.numbered()
}

/// Creates the accounts of a round, or puts their hashes back: more than can log in meanwhile.
fn accounts_with(hash: &str, span: Duration) -> String {
    let accounts = cores() as u64 * span.as_secs() * MAX_RATE_OF_CORE + CONNECTIONS as u64;
    format!(
        "insert into users (email, password, first_name, last_name, role, status, created_at) \
         select 'bcrypt-' || i || '@example.com', '{hash}', 'Bench', 'Mark', 'user', 'active', now() \
         from generate_series(0, {accounts}) i on conflict (email) do update set password = excluded.password"
    )
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
