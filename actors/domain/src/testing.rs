//! What the tests of this crate use.

pub(crate) use faceofmind_platform::testing::*;
pub(crate) use faceofmind_testing::*;
