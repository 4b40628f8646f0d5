//! What was measured, printed and written to docs/benchmarks.md.

use std::fs;

use anyhow::{Context, Result};

use super::machine::Facts;
use crate::workspace::Workspace;

const FILE: &str = "docs/benchmarks.md";
const HEAD: &str = "# Benchmarks\n\n\
    Written by `cargo xtask bench`, which measures the service (release build, production profile on private servers that wait for the disk)\n\
    and a reference in turn, in one run on one machine. Rates depend on the machine and on what else it does; a ratio depends on them\n\
    least. [PERFORMANCE.md](PERFORMANCE.md) explains what costs what.\n";

/// A part of the report, with text or a table.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) text: String,
}

/// The sections, printed as they come.
#[derive(Default)]
pub(crate) struct Report {
    sections: Vec<Section>,
    /// What the document says of the run beside the machine.
    facts: Vec<(&'static str, String)>,
}

impl Report {
    pub(crate) fn add(&mut self, section: Section) {
        println!("\n## {}\n\n{}", section.title, section.text.trim_end());
        self.sections.push(section);
    }

    pub(crate) fn add_facts(&mut self, facts: Vec<(&'static str, String)>) {
        self.facts.extend(facts);
    }

    /// Writes docs/benchmarks.md.
    pub(crate) fn write(&self) -> Result<()> {
        let text = document(&Facts::read()?, &self.facts, &self.sections);
        fs::write(Workspace::read()?.root.join(FILE), text).with_context(|| format!("cannot write {FILE}"))?;
        eprintln!("written: {FILE}");
        Ok(())
    }
}

fn document(facts: &Facts, more: &[(&'static str, String)], sections: &[Section]) -> String {
    let mut text = format!("{HEAD}\n| | |\n|---|---|\n");
    let more = more.iter().map(|(what, value)| (*what, value.as_str()));
    for (what, value) in facts.rows().into_iter().chain(more) {
        text.push_str(&format!("| {what} | {value} |\n"));
    }
    for section in sections {
        text.push_str(&format!("\n## {}\n\n{}\n", section.title, section.text.trim_end()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_facts_and_a_section_for_each_table() {
        let facts = Facts::example();
        let sections = [
            Section { title: "Throughput", text: "| what |\n|---|\n| a |\n".to_owned() },
            Section { title: "Memory", text: "At rest.\n".to_owned() },
        ];
        let text = document(&facts, &[("PocketBase", "0.40.6".to_owned())], &sections);
        let rest = text.strip_prefix(HEAD).expect("the head is first");
        let facts = "\n| | |\n|---|---|\n| date | 2026-11-28 |\n| commit | `9f008fb` |\n| processor | 2 cores, Example CPU |\n\
            | memory | 24 GiB |\n| kernel | Linux 6.1 |\n| rustc | 1.95.0 |\n| PostgreSQL | 15.1 |\n| Redis | 7.0.15 |\n\
            | NATS | 2.9.10 |\n| PocketBase | 0.40.6 |\n";
        let tables = "\n## Throughput\n\n| what |\n|---|\n| a |\n\n## Memory\n\nAt rest.\n";
        assert_eq!(rest, format!("{facts}{tables}"));
    }
}
