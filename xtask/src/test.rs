//! `cargo xtask test`: runs the tests on private servers.

use std::{
    fs,
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use anyhow::{Result, ensure};
use tempfile::{NamedTempFile, TempPath};

use crate::{
    interrupt::Interrupt,
    process::{self, Process, Stop},
    services::{Durability, Services},
    wait::Stopwatch,
    workspace::{Workspace, cargo},
};

/// The arguments of `cargo test` that choose packages.
const PACKAGES: [&str; 2] = ["-p", "--package"];

pub(crate) fn run(args: &[String], interrupt: &Interrupt) -> Result<ExitCode> {
    let mut phases = Phases::default();
    let status = phases.run(args, interrupt);
    phases.print();
    status.map(process::exit_code)
}

/// The duration of each phase. It is printed even if a phase fails.
#[derive(Default)]
struct Phases(Vec<(&'static str, Duration)>);

impl Phases {
    fn run(&mut self, args: &[String], interrupt: &Interrupt) -> Result<ExitStatus> {
        let shipped = if args.is_empty() {
            Some(self.time("build of the shipped program", || shipped(interrupt))?)
        } else {
            None
        };
        let built = self.time("build", || cargo_test(&["--no-run"], args, &[], interrupt))?;
        if !built.success() {
            return Ok(built);
        }
        let services = self.time("services", || Services::start(Durability::Off, interrupt))?;
        let mut environment = services.environment();
        environment.push(("TMPDIR", services.temporary_dir()?.display().to_string()));
        environment.extend(shipped.as_ref().map(|shipped| ("FOM_TEST_SHIPPED", shipped.display().to_string())));
        self.time("tests", || cargo_test(&[], args, &environment, interrupt))
    }

    fn time<T>(&mut self, phase: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let began = Stopwatch::start();
        let result = work();
        self.0.push((phase, began.elapsed()));
        result
    }

    fn print(&self) {
        for (phase, took) in &self.0 {
            eprintln!("xtask: {phase} took {:.1} s", took.as_secs_f64());
        }
    }
}

/// Builds the program without test hooks, as it is shipped but not optimised. It is a copy, because the next build replaces the original. Only
/// a run without arguments builds it.
fn shipped(interrupt: &Interrupt) -> Result<TempPath> {
    let mut build = process::command(cargo(), Stop::Term, None);
    build.args(["build", "--package", "faceofmind", "--bin", "faceofmind"]);
    let status = Process::start("cargo build", build, Stop::Term)?.wait(interrupt)?;
    ensure!(status.success(), "the service does not build");
    let copy = NamedTempFile::with_prefix("faceofmind-")?.into_temp_path();
    fs::copy(Workspace::read()?.target_dir.join("debug/faceofmind"), &copy)?;
    Ok(copy)
}

fn cargo_test(
    own: &[&str],
    args: &[String],
    environment: &[(&str, String)],
    interrupt: &Interrupt,
) -> Result<ExitStatus> {
    let mut command = process::command(cargo(), Stop::Term, None);
    command.arg("test").args(scope(args)).args(own).args(args);
    command.envs(environment.iter().cloned());
    Process::start("cargo test", command, Stop::Term)?.wait(interrupt)
}

/// The whole workspace unless `args` choose packages. Test hooks are enabled in both cases. The root package has the feature `faults` too, whose
/// tests need `cargo xtask faults`.
fn scope(args: &[String]) -> &'static [&'static str] {
    let own: Vec<_> = args.iter().take_while(|arg| *arg != "--").collect();
    if !own.iter().any(|arg| PACKAGES.contains(&arg.split('=').next().unwrap_or_default())) {
        &["--workspace", "--features", "faceofmind/test-hooks"]
    } else if own.iter().any(|arg| arg.rsplit('=').next() == Some("faceofmind")) {
        &["--features", "faceofmind/test-hooks"]
    } else {
        &["--all-features"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_name_alone_chooses_no_package() {
        assert_eq!(scope(&args("a_suspended_user")), ["--workspace", "--features", "faceofmind/test-hooks"]);
    }

    #[test]
    fn a_package_may_follow_after_a_space_or_an_equals_sign() {
        assert_eq!(scope(&args("-p faceofmind-base")), ["--all-features"]);
        assert_eq!(scope(&args("--package=faceofmind-base")), ["--all-features"]);
        assert_eq!(scope(&args("-p faceofmind")), ["--features", "faceofmind/test-hooks"]);
    }

    #[test]
    fn arguments_after_two_dashes_choose_no_package() {
        assert_eq!(scope(&args("sessions -- -p x"))[0], "--workspace");
    }
}
