//! Statements over any number of rows, in few texts.

use std::fmt::Write as _;

/// The most rows that one statement takes.
pub const MAX_ROWS: usize = 512;

/// One statement in ten texts, for 1, 2, 4 … 512 rows. The caller pads fewer rows with NULLs ([`pad_with_nulls`]), so that a
/// connection prepares ten statements and not five hundred.
#[derive(Debug)]
pub struct BulkStatement(Vec<String>);

impl BulkStatement {
    /// Takes `sql` with `{rows}` in the place of the rows. Each row has `columns` parameters; the first of all is number `first`.
    pub fn new(sql: &str, first: usize, columns: usize) -> Self {
        let lengths = 0..=MAX_ROWS.ilog2();
        Self(lengths.map(|length| sql.replace("{rows}", &placeholders(1 << length, first, columns))).collect())
    }

    /// Returns the text for `rows` rows, 1 to [`MAX_ROWS`].
    pub fn sql(&self, rows: usize) -> &str {
        &self.0[rows.next_power_of_two().ilog2() as usize]
    }
}

/// Yields the rows, then NULLs up to the length of their statement.
pub fn pad_with_nulls<T>(rows: impl ExactSizeIterator<Item = T>) -> impl Iterator<Item = Option<T>> {
    let length = rows.len().next_power_of_two();
    rows.map(Some).chain(std::iter::repeat_with(|| None)).take(length)
}

fn placeholders(rows: usize, first: usize, columns: usize) -> String {
    let mut text = String::new();
    for number in 0..rows * columns {
        let separator = match (number, number % columns) {
            (0, _) => "(",
            (_, 0) => "), (",
            _ => ", ",
        };
        let _infallible = write!(text, "{separator}${}", first + number);
    }
    text + ")"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_texts_serve_every_number_of_rows() {
        let statement = BulkStatement::new("VALUES {rows}", 2, 2);
        assert_eq!(statement.sql(1), "VALUES ($2, $3)");
        assert_eq!(statement.sql(3), "VALUES ($2, $3), ($4, $5), ($6, $7), ($8, $9)");
        assert_eq!(statement.sql(3), statement.sql(4));
        assert!(statement.sql(MAX_ROWS).ends_with("($1024, $1025)"));
        assert_eq!(pad_with_nulls([7, 8, 9].into_iter()).collect::<Vec<_>>(), [Some(7), Some(8), Some(9), None]);
    }
}
