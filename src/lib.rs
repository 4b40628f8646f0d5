//! The FaceofMind User API: HTTP in, messages to actors out.

mod app;
pub mod cli;
pub mod settings;

pub mod http {
    //! The edge.

    pub mod openapi {
        //! The document.

        /// The OpenAPI document, as JSON.
        pub fn document() -> String {
            r#"{"openapi":"3.1.0"}"#.to_owned()
        }
    }
}
