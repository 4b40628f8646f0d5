//! The layers that every request passes: see [`super::router::public_service`] for their order.

mod admission;
mod body_limit;
mod close_when_stopping;
mod cors;
mod failures;
mod request_trace;
mod require_host;
mod response_defaults;

pub use admission::Admission;
pub use body_limit::BodyLimit;
pub use close_when_stopping::CloseWhenStopping;
pub use cors::CorsPolicy;
pub use failures::{Deadline, Failures};
pub use request_trace::RequestTrace;
pub use require_host::RequireHost;
pub use response_defaults::{ResponseDefaults, compression};
