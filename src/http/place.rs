//! The place of a request among those in progress.

use std::sync::Arc;

use faceofmind_runtime::GatePass;
use salvo::Request;

/// A place, in the extensions of its request.
#[derive(Clone)]
struct Place {
    _pass: Arc<GatePass>,
}

/// Gives the place to the request.
pub(super) fn take(req: &mut Request, pass: GatePass) {
    req.extensions_mut().insert(Place { _pass: Arc::new(pass) });
}

/// Gives the place back, if the request still has it: for one that has ended, or that waits for its client.
pub(super) fn give_back(req: &mut Request) {
    req.extensions_mut().remove::<Place>();
}
