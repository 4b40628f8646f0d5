//! The table in docs/instructions.md: written, read again, and compared.

use std::fmt;

use anyhow::{Context, Result};

use crate::bench::row::{median, sorted};

/// A count may rise to this multiple of the written one.
const ALLOWED: f64 = 1.05;
const HEAD: &str = "# Instructions\n\n\
    Written by `cargo xtask instructions`: the instructions that the service (release build, embedded default) executes for a request, counted\n\
    under valgrind's callgrind over one kept connection. `cargo xtask instructions --check` fails when a count is more than 5 % above this\n\
    table. [PERFORMANCE.md](PERFORMANCE.md) says when to run it and when to write the table again.\n";

/// The instructions of a request: the median of the rounds, and the lowest and the highest.
pub(super) struct Count {
    request: &'static str,
    median: f64,
    lowest: f64,
    highest: f64,
}

impl Count {
    pub(super) fn new(request: &'static str, rounds: impl Iterator<Item = f64>) -> Self {
        let rounds = sorted(rounds);
        let ends = (rounds.first().copied().unwrap_or(f64::NAN), rounds.last().copied().unwrap_or(f64::NAN));
        Self { request, median: median(&rounds), lowest: ends.0, highest: ends.1 }
    }
}

pub(super) fn document(facts: &[(&str, String)], counts: &[Count]) -> String {
    let facts: String = facts.iter().map(|(what, value)| format!("| {what} | {value} |\n")).collect();
    let line = |count: &Count| {
        let [median, lowest, highest] = [count.median, count.lowest, count.highest].map(grouped);
        format!("| {} | {median} | {lowest}–{highest} |\n", count.request)
    };
    let counts: String = counts.iter().map(line).collect();
    format!(
        "{HEAD}\n| | |\n|---|---|\n{facts}\n| request | instructions | lowest–highest of the rounds |\n|---|--:|---|\n{counts}"
    )
}

/// The facts that are not as they were when the table was written, each as it was and as it is. They may explain a change.
pub(super) fn other_facts(document: &str, facts: &[(&str, String)]) -> Vec<String> {
    let may_explain = |(what, _): &&(&str, String)| ["rustc", "processor", "valgrind"].contains(what);
    let difference = |(what, now): &(&str, String)| {
        let written = cell(document, what).filter(|written| written != now)?;
        Some(format!("{what} {written}; this run has {now}"))
    };
    facts.iter().filter(may_explain).filter_map(difference).collect()
}

/// A count beside the written one.
pub(super) struct Change {
    request: &'static str,
    now: f64,
    written: f64,
}

impl Change {
    /// # Errors
    /// The document has no count of this request.
    pub(super) fn of(count: &Count, document: &str) -> Result<Self> {
        let written = cell(document, count.request).and_then(|cell| cell.replace(',', "").parse().ok());
        let written = written.with_context(|| format!("no count of {} is written", count.request))?;
        Ok(Self { request: count.request, now: count.median, written })
    }

    pub(super) fn is_risen(&self) -> bool {
        self.now > self.written * ALLOWED
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (self.now / self.written - 1.0) * 100.0;
        write!(f, "{}: {}, written {}: {percent:+.1} %", self.request, grouped(self.now), grouped(self.written))
    }
}

/// The second cell of the line that begins with this one.
fn cell<'a>(document: &'a str, first: &str) -> Option<&'a str> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| "));
    let mut cells = rows.map(|row| row.split(" | "));
    cells
        .find_map(|mut row| row.next().filter(|cell| *cell == first).and_then(|_| row.next()))
        .map(|cell| cell.trim_end_matches(" |"))
}

/// A whole number with a comma before each three digits.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let places = digits.len();
    let with_comma = |(place, digit): (usize, char)| {
        let comma = (place > 0 && (places - place).is_multiple_of(3)).then_some(',');
        comma.into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(with_comma).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "`GET /auth/me`";

    fn facts(rustc: &str) -> Vec<(&'static str, String)> {
        vec![("commit", "`9f008fb`".to_owned()), ("rustc", rustc.to_owned()), ("processor", "Example CPU".to_owned())]
    }

    fn written() -> String {
        document(&facts("1.95.0"), &[Count::new(ME, [101_000.0, 99_000.0, 100_000.0].into_iter())])
    }

    fn change(now: f64) -> Change {
        Change::of(&Count::new(ME, [now].into_iter()), &written()).expect("it is written")
    }

    #[test]
    fn the_table_has_medians_and_their_range() {
        let text = written();
        let rest = text.strip_prefix(HEAD).expect("the head is first");
        let facts = "\n| | |\n|---|---|\n| commit | `9f008fb` |\n| rustc | 1.95.0 |\n| processor | Example CPU |\n";
        let counts = "\n| request | instructions | lowest–highest of the rounds |\n|---|--:|---|\n\
            | `GET /auth/me` | 100,000 | 99,000–101,000 |\n";
        assert_eq!(rest, format!("{facts}{counts}"));
    }

    #[test]
    fn a_rise_over_five_percent_fails_and_anything_less_does_not() {
        assert!(!change(60_000.0).is_risen());
        assert!(!change(105_000.0).is_risen());
        assert!(change(105_001.0).is_risen());
        assert_eq!(change(112_340.0).to_string(), "`GET /auth/me`: 112,340, written 100,000: +12.3 %");
        assert_eq!(change(99_000.0).to_string(), "`GET /auth/me`: 99,000, written 100,000: -1.0 %");
    }

    #[test]
    fn a_request_that_is_not_in_the_table_is_an_error() {
        let count = Count::new("`GET /new`", [1.0].into_iter());
        let error = Change::of(&count, &written()).err().expect("an error");
        assert_eq!(error.to_string(), "no count of `GET /new` is written");
    }

    #[test]
    fn another_compiler_is_named() {
        assert!(other_facts(&written(), &facts("1.95.0")).is_empty());
        let others = other_facts(&written(), &[("commit", "`1`".to_owned()), ("rustc", "1.96.0".to_owned())]);
        assert_eq!(others, ["rustc 1.95.0; this run has 1.96.0"]);
    }

    #[test]
    fn numbers_are_grouped_by_three_digits() {
        assert_eq!([7.4, 999.0, 1_000.0, 1_234_567.0].map(grouped), ["7", "999", "1,000", "1,234,567"]);
    }
}
