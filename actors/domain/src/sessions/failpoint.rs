//! Where a test can make the tracker panic while it writes a batch.

/// How far a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(any(test, feature = "test-hooks")), expect(unreachable_pub, reason = "only tests name a site"))]
pub enum FailPointSite {
    /// New sessions are inserted and the other sessions are locked.
    Locked,
    /// Detections are inserted without the rows that belong to them.
    DetectionsInserted,
    /// Everything is written except the events.
    Written,
    /// The transaction is committed, and no caller has a reply.
    Committed,
}

/// Makes the tracker panic once, at `site`, in a batch of at least `min_commands` commands.
#[cfg(any(test, feature = "test-hooks"))]
#[derive(Debug)]
pub struct ArmFailPoint {
    pub site: FailPointSite,
    pub min_commands: usize,
}

#[cfg(any(test, feature = "test-hooks"))]
impl faceofmind_runtime::Message for ArmFailPoint {
    type Output = faceofmind_runtime::FailPoint<FailPointSite>;
    type Error = faceofmind_runtime::AskError;
}
