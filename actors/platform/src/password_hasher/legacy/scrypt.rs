//! scrypt (RFC 7914) as Django writes it.

use aws_lc_rs::constant_time;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use scrypt::Params;

use super::{HashFault, fields, number};

const OUTPUT_BYTES: usize = 64;
/// Python's default bound of the memory admits 2^14 at a block size of 8, Django's default.
const MAX_N: u32 = 1 << 17;
const MAX_BLOCK_SIZE: u32 = 32;
const MAX_PARALLELISM: u32 = 64;
/// The most blocks of 128 bytes that are held: 128 MiB.
const MAX_BLOCKS: u64 = 1 << 20;
/// The most blocks in all lanes, which are computed one after the other. They take about 2 s.
const MAX_WORK: u64 = 5 << 20;

pub(in crate::password_hasher) struct ScryptHash {
    params: Params,
    salt: String,
    output: Vec<u8>,
}

impl ScryptHash {
    /// Reads `N$SALT$R$P$BASE64`.
    pub(super) fn parse(text: &str) -> Result<Self, HashFault> {
        let [n, salt, block_size, parallelism, output] = fields(text)?;
        let cost = (number(n)?, number(block_size)?, number(parallelism)?);
        let output = BASE64_STANDARD.decode(output).map_err(|_| HashFault::Malformed)?;
        if output.len() != OUTPUT_BYTES {
            return Err(HashFault::Malformed);
        }
        Ok(Self { params: params(cost)?, salt: salt.to_owned(), output })
    }

    /// Returns the work of Argon2, in KiB that it writes, that takes the same time: of 2^20 blocks, 0.35 s.
    pub(super) fn work(&self) -> u64 {
        self.params.n() * u64::from(self.params.r()) * u64::from(self.params.p()) / 2
    }

    pub(super) fn matches(&self, password: &str) -> bool {
        let mut output = [0; OUTPUT_BYTES];
        let hashed = scrypt::scrypt(password.as_bytes(), self.salt.as_bytes(), &self.params, &mut output);
        hashed.is_ok() && constant_time::verify_slices_are_equal(&output, &self.output).is_ok()
    }
}

fn params((n, block_size, parallelism): (u32, u32, u32)) -> Result<Params, HashFault> {
    if n < 2 || !n.is_power_of_two() {
        return Err(HashFault::Malformed);
    }
    let blocks = u64::from(n) * u64::from(block_size);
    let is_within = n <= MAX_N && block_size <= MAX_BLOCK_SIZE && parallelism <= MAX_PARALLELISM;
    if !is_within || blocks > MAX_BLOCKS || blocks * u64::from(parallelism) > MAX_WORK {
        return Err(HashFault::TooDear);
    }
    let log_n = u8::try_from(n.ilog2()).map_err(|_| HashFault::Malformed)?;
    Params::new(log_n, block_size, parallelism).map_err(|_| HashFault::Malformed)
}
