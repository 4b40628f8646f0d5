//! What README.md tells people to paste.

use std::{process::Output, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::harness::Program;

const README: &str = include_str!("../README.md");

/// A tour waits for mails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the section gives to paste into a shell, in its order.
fn pasted(section: &str) -> String {
    let heading = format!("{section}\n");
    let section = README.split("\n## ").find(|text| text.starts_with(&heading)).expect("there is such a section");
    let blocks = section.split("\n```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

/// The embedded profile, as `cargo run` has it, but for the port.
#[tokio::test]
async fn the_tour_works_as_pasted() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [("PORT", "0"), ("OPERATOR_ADDR", "")];
    let serving = Program::in_folder(folder.path(), &settings).serve(&[]).await;
    let script = pasted("A tour").replace("http://127.0.0.1:9000", &serving.base);
    assert!(script.contains(&serving.base), "{script}");

    let mut shell = Command::new("sh");
    shell.args(["-euc", &script]).current_dir(folder.path()).kill_on_drop(true);
    let Output { status, stdout, stderr } = timeout(PATIENCE, shell.output()).await.expect("in time").expect("runs");
    let (said, complained) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success() && complained.is_empty(), "{said}\n{complained}");
    assert!(!said.contains("/problems/"), "a call was refused: {said}");
    assert!(said.contains("\"status\":\"active\"") && said.contains("faceofmind.v1.feedback.submitted"), "{said}");

    serving.terminate().await;
}
