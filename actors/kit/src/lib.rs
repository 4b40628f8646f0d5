//! Old names, until the last import of them is gone.
pub use faceofmind_base::{Backoff, CivilDate, Clock, Rng, Timestamp, id};
pub use faceofmind_db::{
    Connection, Database, ReadConn as Reader, Snapshot, Tx, database as db, lease, with_conn as on,
};
pub use faceofmind_runtime::{
    ChildSpec as Child, ChildStatus, Supervisor, SupervisorHandle,
    legacy::{Actor, Address, Errands, Failure, Permit, Reply},
    panics,
};
pub mod supervisor {
    //! Old names.
    pub use faceofmind_runtime::{ActorState as State, RestartPolicy as Policy, SupervisorSpec as Family};
}
