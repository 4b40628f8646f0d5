//! Rebuilds the crate when a migration is added: the macro that embeds them sees changes of known files alone.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
