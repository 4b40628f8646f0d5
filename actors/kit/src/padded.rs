//! Statements over any number of rows, of which a connection still keeps few.

use std::fmt::Write as _;

/// As many rows as one statement takes.
pub const MOST_ROWS: usize = 512;

/// One statement in ten texts, for 1, 2, 4 … 512 rows. Fewer rows are filled up with NULLs, so a connection prepares ten statements,
/// not five hundred.
#[derive(Debug)]
pub struct Padded(Vec<String>);

impl Padded {
    /// `sql` with `{rows}` where the rows go: as many parameters each as `columns`, the first of them `first`.
    pub fn new(sql: &str, first: usize, columns: usize) -> Self {
        let lengths = 0..=MOST_ROWS.ilog2();
        Self(lengths.map(|length| sql.replace("{rows}", &placeholders(1 << length, first, columns))).collect())
    }

    /// The text for so many rows, from 1 to [`MOST_ROWS`].
    pub fn text(&self, rows: usize) -> &str {
        &self.0[rows.next_power_of_two().ilog2() as usize]
    }
}

/// The rows, and then NULLs up to the length of their statement.
pub fn filled<T>(rows: impl ExactSizeIterator<Item = T>) -> impl Iterator<Item = Option<T>> {
    let length = rows.len().next_power_of_two();
    rows.map(Some).chain(std::iter::repeat_with(|| None)).take(length)
}

fn placeholders(rows: usize, first: usize, columns: usize) -> String {
    let mut text = String::new();
    for number in 0..rows * columns {
        let before = match (number, number % columns) {
            (0, _) => "(",
            (_, 0) => "), (",
            _ => ", ",
        };
        let _infallible = write!(text, "{before}${}", first + number);
    }
    text + ")"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_texts_serve_every_number_of_rows() {
        let padded = Padded::new("VALUES {rows}", 2, 2);
        assert_eq!(padded.text(1), "VALUES ($2, $3)");
        assert_eq!(padded.text(3), "VALUES ($2, $3), ($4, $5), ($6, $7), ($8, $9)");
        assert_eq!(padded.text(3), padded.text(4));
        assert!(padded.text(MOST_ROWS).ends_with("($1024, $1025)"));
        assert_eq!(filled([7, 8, 9].into_iter()).collect::<Vec<_>>(), [Some(7), Some(8), Some(9), None]);
    }
}
