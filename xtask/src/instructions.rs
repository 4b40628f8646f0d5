//! `cargo xtask instructions`: the instructions that the service executes for a request, counted under callgrind. Unlike times, they hardly depend
//! on what else the machine does. They are written to docs/instructions.md, and `--check` compares with that file.

mod callgrind;
mod connection;
mod requests;
mod table;

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, ensure};

use self::{callgrind::VALGRIND, table::Count};
use crate::{
    bench::{build, machine},
    interrupt::Interrupt,
    packages, services,
    workspace::Workspace,
};

const FILE: &str = "docs/instructions.md";

pub(crate) fn run(check: bool, interrupt: &Interrupt) -> Result<ExitCode> {
    packages::ensure_present(&[VALGRIND])?;
    let binary = build("faceofmind", interrupt)?;
    let file = Workspace::read()?.root.join(FILE);
    let dir = services::temporary_dir()?;
    let counts = requests::count(&binary, dir.path(), interrupt)?;
    if check {
        return compare(&file, &counts);
    }
    let text = table::document(&facts()?, &counts);
    fs::write(&file, &text).with_context(|| format!("cannot write {FILE}"))?;
    println!("{text}");
    Ok(ExitCode::SUCCESS)
}

/// What the counts depend on, besides the code.
fn facts() -> Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("date", machine::today()),
        ("commit", machine::commit()?),
        ("rustc", machine::rustc()?),
        ("processor", machine::processor()?),
        ("valgrind", callgrind::version()?),
    ])
}

fn compare(file: &Path, counts: &[Count]) -> Result<ExitCode> {
    let written = fs::read_to_string(file).with_context(|| format!("cannot read {FILE}"))?;
    for difference in table::other_facts(&written, &facts()?) {
        eprintln!("{FILE} was written with {difference}");
    }
    let mut risen = Vec::new();
    for count in counts {
        let change = table::Change::of(count, &written)?;
        println!("{change}");
        risen.extend(change.is_risen().then(|| change.to_string()));
    }
    ensure!(risen.is_empty(), "more instructions than in {FILE}:\n{}", risen.join("\n"));
    Ok(ExitCode::SUCCESS)
}
