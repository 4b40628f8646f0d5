//! What changes make, as their callers and those who repeat them are answered.

use faceofmind_runtime::legacy::Failure;
use serde::Serialize;

use super::{
    detection::{Detected, Processed},
    feedback::Feedback,
    session::Session,
};

macro_rules! made {
    ($($what:ident => $status:literal),+ $(,)?) => {
        /// What a change made.
        #[derive(Debug, Serialize)]
        #[serde(untagged)]
        pub(super) enum Made {
            $($what($what)),+
        }

        impl Made {
            /// With which status it is answered where it creates something.
            pub(super) const fn status(&self) -> u16 {
                match self {
                    $(Self::$what(_) => $status),+
                }
            }
        }

        $(
            impl From<$what> for Made {
                fn from(made: $what) -> Self {
                    Self::$what(made)
                }
            }

            impl TryFrom<Made> for $what {
                type Error = Failure;

                fn try_from(made: Made) -> Result<Self, Failure> {
                    match made {
                        Made::$what(made) => Ok(made),
                        _ => Err(Failure::Dependency { service: "session_tracker", reason: "it made another thing".to_owned() }),
                    }
                }
            }
        )+
    };
}

made! {
    Session => 201,
    Detected => 201,
    Processed => 200,
    Feedback => 201,
}
