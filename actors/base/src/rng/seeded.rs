//! A repeatable random sequence, for tests.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aws_lc_rs::digest;

/// Concatenated SHA-256 digests of the seed and a block counter. Clones share the counter.
#[derive(Clone, Debug)]
pub(super) struct Sequence {
    seed: u64,
    drawn: Arc<AtomicU64>,
}

impl Sequence {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, drawn: Arc::default() }
    }

    pub(super) fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(digest::SHA256_OUTPUT_LEN) {
            let block = self.drawn.fetch_add(1, Ordering::Relaxed);
            let hash = digest::digest(&digest::SHA256, &[self.seed.to_be_bytes(), block.to_be_bytes()].concat());
            chunk.copy_from_slice(&hash.as_ref()[..chunk.len()]);
        }
    }
}
