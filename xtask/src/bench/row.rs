//! One row of the table.

use std::{fmt, time::Duration};

use anyhow::Result;

/// Repeats an operation for a duration and gives its rate a second.
pub(crate) type Rate<'a> = Box<dyn Fn(Duration) -> Result<f64> + 'a>;

/// An operation of the service and its reference.
pub(crate) struct Row<'a> {
    pub(crate) title: &'static str,
    pub(crate) ours: Rate<'a>,
    pub(crate) reference_title: &'static str,
    pub(crate) reference: Rate<'a>,
}

/// A row and the rates of its rounds.
pub(crate) struct Measured {
    title: &'static str,
    reference_title: &'static str,
    rounds: Vec<(f64, f64)>,
}

impl Measured {
    pub(crate) fn new(row: &Row<'_>) -> Self {
        Self { title: row.title, reference_title: row.reference_title, rounds: Vec::new() }
    }

    pub(crate) fn add(&mut self, ours: f64, reference: f64) {
        self.rounds.push((ours, reference));
    }

    /// The ratio of each round, sorted. The two measurements of a round are adjacent in time.
    fn ratios(&self) -> Vec<f64> {
        sorted(self.rounds.iter().map(|(ours, reference)| ours / reference))
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ours = median(&sorted(self.rounds.iter().map(|round| round.0)));
        let reference = median(&sorted(self.rounds.iter().map(|round| round.1)));
        let ratios = self.ratios();
        let (lowest, highest) = (ratios.first().unwrap_or(&f64::NAN), ratios.last().unwrap_or(&f64::NAN));
        write!(
            f,
            "| {} | {ours:.0} | {} | {reference:.0} | **{:.2}** | {lowest:.2}–{highest:.2} |",
            self.title,
            self.reference_title,
            median(&ratios),
        )
    }
}

pub(crate) fn sorted(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}

/// The median of sorted numbers. For an even count it is the mean of the two in the middle.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() {
        assert_eq!(median(&sorted([3.0, 1.0, 2.0].into_iter())), 2.0);
        assert_eq!(median(&sorted([4.0, 1.0, 3.0, 2.0].into_iter())), 2.5);
    }

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_own_ratios() {
        let idle = || -> Rate<'static> { Box::new(|_| Ok(0.0)) };
        let row = Row { title: "a", ours: idle(), reference_title: "b", reference: idle() };
        let mut measured = Measured::new(&row);
        for (ours, reference) in [(1.0, 2.0), (30.0, 20.0), (8.0, 10.0)] {
            measured.add(ours, reference);
        }
        assert_eq!(measured.to_string(), "| a | 8 | b | 10 | **0.80** | 0.50–1.50 |");
    }
}
