//! Old names, until their last caller is gone.

use faceofmind_runtime::legacy::Failure;

use super::{Keyring, RotationPass, RotationStats};

pub type Round<'a> = RotationPass<'a>;
pub type Tally = RotationStats;
pub const SERVICE: &str = "DATA_KEY";

#[doc(hidden)]
impl Keyring {
    pub fn seal(&self, aad: &str, text: &str) -> Result<String, Failure> {
        Ok(self.encrypt(aad, text)?)
    }

    pub fn open(&self, aad: &str, stored: &str) -> Result<String, Failure> {
        Ok(self.decrypt(aad, stored)?)
    }
}

#[doc(hidden)]
impl RotationPass<'_> {
    pub fn look(&mut self, aad: &str, stored: &str) -> Option<String> {
        self.visit(aad, stored)
    }

    pub fn turn_page(&mut self, replaced: u64) {
        self.page_done(replaced);
    }
}
