//! The machine and the versions of a report. Nothing of it names the machine or a folder.

use std::{fs, process::Command};

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::env::cores;
use crate::{process, services::postgres_program};

/// What a report says of its run.
pub(crate) struct Facts {
    date: String,
    commit: String,
    processor: String,
    memory: String,
    kernel: String,
    rustc: String,
    postgres: String,
    redis: String,
    nats: String,
}

impl Facts {
    pub(crate) fn read() -> Result<Self> {
        let postgres = postgres_program("postgres").context("postgres is missing")?;
        Ok(Self {
            date: today(),
            commit: commit()?,
            processor: processor()?,
            memory: memory(&fs::read_to_string("/proc/meminfo")?).context("no MemTotal")?,
            kernel: format!("Linux {}", fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()),
            rustc: rustc()?,
            postgres: version(Command::new(postgres).arg("--version"))?,
            redis: version(Command::new("redis-server").arg("--version"))?,
            nats: version(Command::new("nats-server").arg("--version"))?,
        })
    }

    pub(crate) fn rows(&self) -> [(&'static str, &str); 9] {
        [
            ("date", &self.date),
            ("commit", &self.commit),
            ("processor", &self.processor),
            ("memory", &self.memory),
            ("kernel", &self.kernel),
            ("rustc", &self.rustc),
            ("PostgreSQL", &self.postgres),
            ("Redis", &self.redis),
            ("NATS", &self.nats),
        ]
    }

    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Self {
            date: "2026-11-28".to_owned(),
            commit: "`9f008fb`".to_owned(),
            processor: "2 cores, Example CPU".to_owned(),
            memory: "24 GiB".to_owned(),
            kernel: "Linux 6.1".to_owned(),
            rustc: "1.95.0".to_owned(),
            postgres: "15.1".to_owned(),
            redis: "7.0.15".to_owned(),
            nats: "2.9.10".to_owned(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the day of a report is the real one")]
pub(crate) fn today() -> String {
    Timestamp::now().to_string().chars().take("2026-11-28".len()).collect()
}

/// The commit, and whether the files were changed since.
pub(crate) fn commit() -> Result<String> {
    let head = process::output(Command::new("git").args(["rev-parse", "--short", "HEAD"]))?;
    let changes = process::output(Command::new("git").args(["status", "--porcelain", "--untracked-files=no"]))?;
    let changed = if changes.is_empty() { "" } else { ", with changes" };
    Ok(format!("`{}`{changed}", head.trim()))
}

pub(crate) fn processor() -> Result<String> {
    Ok(format!("{} cores, {}", cores(), cpu_model(&fs::read_to_string("/proc/cpuinfo")?)))
}

pub(crate) fn rustc() -> Result<String> {
    version(Command::new("rustc").arg("--version"))
}

fn cpu_model(cpuinfo: &str) -> &str {
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("of an unknown model", |(_, name)| name.trim())
}

fn memory(meminfo: &str) -> Option<String> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(format!("{:.0} GiB", kib / 1024.0 / 1024.0))
}

fn version(program: &mut Command) -> Result<String> {
    let printed = process::output(program)?;
    number(&printed).map(str::to_owned).with_context(|| format!("no version in {printed:?}"))
}

/// The first word that begins with a number, without what programs write before it.
fn number(printed: &str) -> Option<&str> {
    let words = printed.split_whitespace().map(|word| word.trim_start_matches("v=").trim_start_matches('v'));
    words.into_iter().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_each_program_prints_them() {
        let printed = [
            "rustc 1.95.0 (abc 2026-04-01)",
            "postgres (PostgreSQL) 15.14 (Debian 15.14-0)",
            "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64",
            "nats-server: v2.9.10",
            "none",
        ];
        let expected = [Some("1.95.0"), Some("15.14"), Some("7.0.15"), Some("2.9.10"), None];
        assert_eq!(printed.map(number), expected);
    }

    #[test]
    fn processor_and_memory_are_read_from_the_kernel() {
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: Example CPU @ 2 GHz\n"), "Example CPU @ 2 GHz");
        assert_eq!(cpu_model(""), "of an unknown model");
        assert_eq!(memory("MemTotal:       25165824 kB\nMemFree: 1 kB\n").as_deref(), Some("24 GiB"));
    }
}
