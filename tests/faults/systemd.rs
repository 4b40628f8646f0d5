//! The unit docs/faceofmind.service.

use std::{fs, process::Command};

use crate::variable;

const UNIT: &str = include_str!("../../docs/faceofmind.service");

#[test]
fn systemd_accepts_every_line_of_the_unit() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("faceofmind.service");
    let installed = "/usr/local/bin/faceofmind";
    assert!(UNIT.contains(installed));
    fs::write(&file, UNIT.replace(installed, env!("CARGO_BIN_EXE_faceofmind"))).expect("written");
    let mut command = Command::new(variable("FOM_TEST_SYSTEMD_ANALYZE"));
    let verified = command.args(["verify", "--man=no"]).arg(&file).output().expect("systemd-analyze runs");
    // It succeeds and prints a line for what it does not know.
    assert!(verified.status.success() && verified.stderr.is_empty(), "{}", String::from_utf8_lossy(&verified.stderr));
}
