//! bcrypt alone, by the library that the service verifies with.

use std::{num::NonZero, thread, time::Duration};

use base64::{
    Engine as _,
    alphabet::BCRYPT,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};
use tokio::time::Instant;

const BASE64: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD);
/// The time of a hash does not depend on its salt.
const SALT: [u8; 16] = *b"a constant salt.";

/// The hashes in a second, on a thread a core.
pub(crate) fn rate(password: &str, cost: u32, seconds: u64) -> f64 {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let key = key(password);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| rate_of_thread(&key, cost, seconds))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(f64::NAN)).sum()
    })
}

fn rate_of_thread(key: &[u8], cost: u32, seconds: u64) -> f64 {
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < Duration::from_secs(seconds) {
        std::hint::black_box(bcrypt::bcrypt(cost, SALT, key));
        count += 1;
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}

pub(crate) fn hash(password: &str, cost: u32) -> String {
    let output = bcrypt::bcrypt(cost, SALT, &key(password));
    format!("$2b${cost:02}${}{}", BASE64.encode(SALT), BASE64.encode(&output[..23]))
}

/// At most 72 bytes count, the final NUL included.
fn key(password: &str) -> Vec<u8> {
    password.bytes().chain([0]).take(72).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_other_implementations() {
        // crypt.crypt("password123", "$2b$04$WQ/hZ03xbEDsbA/xWUvyJe") of Python's standard library.
        assert_eq!(hash("password123", 4), "$2b$04$WQ/hZ03xbEDsbA/xWUvyJebzx2wDUzRURXXIMir5GGrQPCpyIYvbq");
    }
}
