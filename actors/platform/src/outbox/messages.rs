//! What the publisher can be told.

use faceofmind_runtime::{AskError, Message};

/// Events were committed. Told after each commit that recorded some. A lost one costs the time until the next poll.
#[derive(Debug)]
pub struct Wake;

impl Message for Wake {
    type Output = ();
    type Error = AskError;
}

/// The publish loop panicked.
pub(super) struct LoopPanicked;

impl Message for LoopPanicked {
    type Output = ();
    type Error = AskError;
}
