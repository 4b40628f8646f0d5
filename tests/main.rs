//! The black-box tests: the real service behind real sockets, told as stories. Every story is told twice, on the embedded
//! profile and on the production profile; `cargo xtask test` brings the servers for the latter.

mod harness;
