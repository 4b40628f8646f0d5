//! The hoops that every request passes, from the outside in: see [`super::router::service`] for their order.

mod arrival;
mod dress;
mod faults;
mod intake;
mod origins;

pub use arrival::{Arrival, RequestId, route};
pub use dress::{Dress, compression};
pub use faults::{Deadline, Faults, Panics};
pub use intake::Intake;
pub use origins::Origins;
