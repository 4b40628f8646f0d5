//! Whose share of what can run out a request uses.

use faceofmind_model::{
    RequestContext, UserId,
    request_context::{rate_limit_group, rate_limit_key},
};
use faceofmind_runtime::Caller;

/// A signed-in user.
pub fn user(user: UserId) -> Caller {
    Caller::alone(format!("user {user}"))
}

/// The network of a client without a verified token. Nothing that the client claims names it.
pub fn network(context: &RequestContext) -> Caller {
    network_of(&context.client_ip)
}

/// The network of a client with this address.
pub fn network_of(client_ip: &str) -> Caller {
    Caller::in_group(rate_limit_group(client_ip), rate_limit_key(client_ip))
}
